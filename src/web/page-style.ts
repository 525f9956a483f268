/** The page's style: two columns on a desk, one on a phone, light or dark as the system says. */

/** CSS text. */
export const PAGE_STYLE: string = `
:root {
  color-scheme: light dark;
  --bg: #f5f6f8; --card: #fff; --text: #1b1f27; --muted: #5b6472; --line: #d9dee6;
  --accent: #2458d3; --on-accent: #fff; --self: #1f7a43; --active: #c2410c; --bad: #b42318; --user: #e8eefc;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #12151b; --card: #1b2028; --text: #e7eaf0; --muted: #9aa4b2; --line: #333b47;
    --accent: #7aa2ff; --on-accent: #0d1320; --self: #58c98b; --active: #ff9350; --bad: #ff7a70; --user: #25314b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--bg); color: var(--text);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 4px 14px; padding: 14px 20px 0; }
h1 { margin: 0; font-size: 22px; letter-spacing: -0.02em; }
h2 { margin: 0; font-size: 15px; }
header p { margin: 0; overflow-wrap: anywhere; }
.muted { color: var(--muted); font-size: 13px; }
.live { margin-left: auto; font-size: 13px; color: var(--muted); }
.live.on { color: var(--self); }
.live.off { color: var(--bad); }
main {
  display: grid; gap: 14px; padding: 14px 20px 24px; max-width: 1400px; margin: 0 auto;
  grid-template-columns: minmax(0, 3fr) minmax(0, 2fr);
}
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0; }
#graph { margin-top: 6px; }
#graph svg { display: block; width: 100%; }
.edge { stroke: var(--muted); stroke-width: 1.3; opacity: 0.75; }
.edge-label { fill: var(--muted); font-size: 11px; text-anchor: middle; paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
.arrow { fill: var(--muted); }
.node rect { fill: var(--card); stroke: var(--line); stroke-width: 1.5; }
.node.self rect { stroke: var(--self); stroke-width: 2; }
.node.active rect { stroke: var(--active); stroke-width: 3; }
.node text { fill: var(--text); font-size: 12px; text-anchor: middle; }
.node .name { font-weight: 600; font-size: 13px; }
.node .dim { fill: var(--muted); }
#legend { margin: 8px 0 0; }
.key { display: inline-block; width: 14px; height: 10px; border: 2px solid var(--self); border-radius: 3px; margin: 0 6px 0 0; }
.key-active { border-color: var(--active); margin-left: 14px; }
.list { list-style: none; margin: 8px 0 0; padding: 0; }
.list li { padding: 8px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.list li:first-child { border-top: 0; }
.list strong { font-weight: 600; }
.tag { display: inline-block; font-size: 12px; padding: 0 7px; border: 1px solid currentColor; border-radius: 9px; margin-left: 8px; color: var(--muted); }
.tag.alive { color: var(--self); }
.tag.dead, .tag.left, .tag.warning { color: var(--bad); }
.tag.suspect, .tag.connecting { color: var(--active); }
.chat { display: flex; flex-direction: column; gap: 10px; min-height: 380px; }
.row { display: flex; align-items: center; gap: 8px; flex-wrap: wrap; }
.row h2 { margin-right: auto; }
.row label { font-size: 13px; color: var(--muted); }
#log { flex: 1 1 240px; min-height: 160px; max-height: 60vh; overflow-y: auto; display: flex; flex-direction: column; gap: 8px; }
.turn { padding: 8px 11px; border-radius: 9px; white-space: pre-wrap; overflow-wrap: anywhere; max-width: 92%; border: 1px solid var(--line); align-self: flex-start; }
.turn.user { background: var(--user); align-self: flex-end; border-color: transparent; }
.turn.failed { color: var(--bad); }
.note { color: var(--muted); font-size: 12px; }
form { display: flex; gap: 8px; align-items: flex-end; }
textarea { flex: 1; min-width: 0; resize: vertical; }
textarea, select, button { font: inherit; color: inherit; background: var(--bg); border: 1px solid var(--line); border-radius: 8px; padding: 7px 11px; }
select { max-width: 180px; }
button { cursor: pointer; }
#send { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button:disabled { opacity: 0.55; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
[hidden] { display: none; }
@media (max-width: 820px) {
  header { padding: 12px 12px 0; }
  #model { flex: 1 1 80px; width: 0; }
  main { grid-template-columns: minmax(0, 1fr); padding: 12px; gap: 12px; }
}
`;
