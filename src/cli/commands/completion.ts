/** `exo completion`: the scripts that let a shell complete exo. They know nothing themselves: they ask `exo __complete`. */
import { printable } from '../../shared/index.js';
import { EXIT, HintedError } from '../errors.js';
import type { CliHost } from '../host.js';

/** One word per line, a tab and a description behind it; a line `:files` or `:folders` lets the shell complete paths. */
const BASH = `# bash completion of exo. Use it with: source <(exo completion bash)
_exo() {
  local line word directive=""
  COMPREPLY=()
  # COMP_WORDS is split at colons and equal signs; the line up to the cursor is read again, by spaces.
  local before="\${COMP_LINE:0:COMP_POINT}"
  local -a typed
  read -r -a typed <<< "$before"
  [[ "$before" == *[[:space:]] ]] && typed+=("")
  local current="\${typed[\${#typed[@]}-1]}"
  while IFS= read -r line; do
    case "$line" in
      :*) directive="\${line#:}" ;;
      *) word="\${line%%$'\\t'*}"
         [[ "$word" == "$current"* ]] && COMPREPLY+=("$word") ;;
    esac
  done < <("\${typed[0]}" __complete -- "\${typed[@]:1}" 2>/dev/null)
  case "$directive" in
    files) mapfile -t COMPREPLY < <(compgen -f -- "$current") ; compopt -o filenames 2>/dev/null ;;
    folders) mapfile -t COMPREPLY < <(compgen -d -- "$current") ; compopt -o filenames 2>/dev/null ;;
    *) [[ "\${#COMPREPLY[@]}" == 1 && "\${COMPREPLY[0]}" == *, ]] && compopt -o nospace 2>/dev/null ;;
  esac
  # What bash itself takes as the last word begins after the last colon.
  local own="\${COMP_WORDS[COMP_CWORD]}"
  if [[ "$current" == *:* && "$own" != "$current" ]]; then
    local cut="\${current%"$own"}"
    [[ "$own" == ":" ]] && cut="$current"
    COMPREPLY=("\${COMPREPLY[@]#"$cut"}")
  fi
}
complete -F _exo exo
`;

const ZSH = `#compdef exo
# zsh completion of exo. Use it with: source <(exo completion zsh)
_exo() {
  local line directive=""
  local -a entries
  while IFS= read -r line; do
    case "$line" in
      :*) directive="\${line#:}" ;;
      *$'\\t'*) entries+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}") ;;
      *) entries+=("\${line//:/\\\\:}") ;;
    esac
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  case "$directive" in
    files) _files ;;
    folders) _files -/ ;;
    *) _describe -V 'exo' entries ;;
  esac
}
if [ "$funcstack[1]" = "_exo" ]; then
  _exo "$@"
else
  compdef _exo exo
fi
`;

const FISH = `# fish completion of exo. Use it with: exo completion fish > ~/.config/fish/completions/exo.fish
function __exo_complete
  set -l typed (commandline -opc) (commandline -ct)
  for line in ($typed[1] __complete -- $typed[2..-1] 2>/dev/null)
    switch $line
      case ':files'
        __fish_complete_path (commandline -ct)
      case ':folders'
        __fish_complete_directories (commandline -ct)
      case '*'
        echo $line
    end
  end
end
complete -c exo -f -a '(__exo_complete)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

/** The shells that have a script. */
export const SHELLS: readonly string[] = Object.keys(SCRIPTS);

/** Prints the script. Throws `option-invalid` for a shell without one. */
export function completion(host: CliHost, shell: string): number {
  const script = SCRIPTS[shell];
  if (script === undefined) {
    throw new HintedError(
      'option-invalid',
      `"${printable(shell, 40)}" is not a shell that exo knows; it knows ${SHELLS.join(', ')}`,
      'for example: source <(exo completion bash)',
    );
  }
  host.stdout.write(script);
  return EXIT.ok;
}
