/** Browser script: the chat box. Streams an answer of `/v1/chat/completions` and can stop it. */

/** Script text. */
export const CHAT_SCRIPT: string = String.raw`
let turns = [];
let running;

function addTurn(style, text) {
  const log = byId('log');
  const turn = make('div', 'turn ' + style, text);
  log.append(turn);
  log.scrollTop = log.scrollHeight;
  return turn;
}

function busy(yes) {
  byId('send').hidden = yes;
  byId('stop').hidden = !yes;
}

// Calls onData with the data of each event; comments are skipped.
async function readEvents(body, onData) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      for (const line of event.split('\n')) {
        if (line.startsWith('data: ')) onData(line.slice(6));
      }
    }
  }
}

async function answer(turn, messages, signal) {
  const response = await fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: byId('model').value, messages, stream: true, stream_options: { include_usage: true },
    }),
    signal,
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  let usage;
  await readEvents(response.body, (data) => {
    if (data === '[DONE]') return;
    const event = JSON.parse(data);
    if (event.error) throw new Error(event.error.message);
    if (event.usage) usage = event.usage;
    const text = event.choices && event.choices[0] && event.choices[0].delta.content;
    if (text) {
      turn.textContent += text;
      byId('log').scrollTop = byId('log').scrollHeight;
    }
  });
  return usage;
}

async function ask(text) {
  const conversation = turns;
  turns.push({ role: 'user', content: text });
  addTurn('user', text);
  const turn = addTurn('', '');
  const { signal } = (running = new AbortController());
  busy(true);
  try {
    const usage = await answer(turn, conversation, signal);
    if (usage) byId('log').append(make('div', 'note', usage.completion_tokens + ' tokens'));
    conversation.push({ role: 'assistant', content: turn.textContent });
  } catch (error) {
    // Cleared meanwhile: nothing of it belongs to the new conversation.
    if (conversation !== turns) return;
    if (signal.aborted) {
      byId('log').append(make('div', 'note', 'stopped'));
      turns.push({ role: 'assistant', content: turn.textContent });
    } else {
      if (turn.textContent === '') turn.remove();
      addTurn('failed', error.message);
      turns.pop();
    }
  } finally {
    running = undefined;
    busy(false);
    byId('log').scrollTop = byId('log').scrollHeight;
    byId('text').focus();
  }
}

byId('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = byId('text').value.trim();
  if (text === '' || running !== undefined) return;
  byId('text').value = '';
  void ask(text);
});
byId('text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byId('ask').requestSubmit();
  }
});
byId('stop').addEventListener('click', () => running && running.abort());
byId('clear').addEventListener('click', () => {
  if (running) running.abort();
  turns = [];
  byId('log').replaceChildren();
});
`;
