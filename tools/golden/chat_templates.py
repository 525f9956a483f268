"""Writes test/models/vectors/chat-templates.json: conversations as transformers render them.

Run by hand when the renderer changes (see make.py for the environment):

    /tmp/golden/bin/python tools/golden/chat_templates.py

The templates are ours, each with what published ones of a kind use. An error is kept as null.
"""
import json
import pathlib

from transformers.utils.chat_template_utils import render_jinja_template

TARGET = pathlib.Path(__file__).resolve().parents[2] / "test" / "models" / "vectors" / "chat-templates.json"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

USER = {"role": "user", "content": "Which node has layer 3?"}
CONVERSATIONS = [
    [USER],
    [
        {"role": "system", "content": "Be short.\n"},
        {"role": "user", "content": " Hi {{ there }} \n"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello \"you\"."},
        USER,
    ],
    [USER, USER],
]

TEMPLATES = {
    "turns between marks": """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "headers, with a system turn that is always there": """{{- bos_token }}
{%- if not date is defined %}
    {%- set date = "26 Jul 2024" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system = "" %}
{%- endif %}
{{- "<|header|>system<|/header|>\\n\\nToday: " + date + "\\n\\n" + system + "<|end|>" }}
{%- if not tools is none and tools is defined %}{{- tools | tojson }}{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|header|>' + message['role'] + '<|/header|>\\n\\n' + message['content'] | trim + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|header|>assistant<|/header|>\\n\\n' }}{%- endif %}
""",
    "alternation, and no system turn": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<turn>' + role + '\\n' + message['content'] | trim + '</turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<turn>model\\n'}}{% endif %}""",
    "thoughts are cut from earlier turns": """{%- set ns = namespace(last=messages|length - 1, seen=false) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if not ns.seen and message.role == "user" %}{%- set ns.seen = true %}{%- set ns.last = index %}{%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "assistant" and '</think>' in content %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- loop.index0 ~ ':' ~ message.role ~ ':' ~ content ~ ('!' if loop.last else ';') }}
    {%- if loop.index0 == ns.last %}{{- '[last]' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '\\nassistant:' }}{%- endif %}
""",
    "macros, filters and white space": """{% macro turn(role, text='', mark=none) -%}
    <{{ role | upper }}{% if mark is not none %} {{ mark }}{% endif %}>{{ text | trim | replace('"', "'") }}
{%- endmacro %}
{% for message in messages if message.role != 'system' %}
  {{ turn(message.role, message.content, mark=loop.index) }}
{% else %}
nothing
{% endfor %}
{{ messages | map(attribute='role') | join(', ') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{# not shown #}
{{- {'a': [1, 2.5, true, none], "b": messages[0].content} | tojson }}
{{ 'x' * 3 if false else 7 // 2 }} {{ messages[-1]['content'][:5] }} {{ 'yes' if 'node' in messages[0].content and not tools else 'no' }}
""",
}


def render(source, messages):
    try:
        rendered, _ = render_jinja_template(
            [messages], chat_template=source, add_generation_prompt=True, tools=None, documents=None, **TOKENS
        )
        return rendered[0]
    except Exception as error:  # Whatever it is, ours must refuse it too.
        print(f"{type(error).__name__}: {error}")
        return None


if __name__ == "__main__":
    templates = [
        {"name": name, "source": source, "texts": [render(source, messages) for messages in CONVERSATIONS]}
        for name, source in TEMPLATES.items()
    ]
    TARGET.write_text(
        json.dumps({"tokens": TOKENS, "conversations": CONVERSATIONS, "templates": templates}, indent=1) + "\n"
    )
    print(f"{TARGET}: {len(templates)} templates, {TARGET.stat().st_size} bytes")
