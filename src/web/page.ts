/** The page's HTML. The scripts fill it; nothing of the mesh is written into the HTML itself. */

/** The whole document; `style` and `script` are ours and go in as they are. */
export function pageHtml(style: string, script: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>exo</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
  <h1>exo</h1>
  <p id="self" class="muted"></p>
  <p id="live" class="live" role="status">connecting</p>
  <button id="reconnect" type="button" hidden>Reconnect</button>
</header>
<main>
  <section class="card mesh" aria-labelledby="mesh-title">
    <h2 id="mesh-title">Mesh</h2>
    <div id="graph"></div>
    <p id="legend" class="muted">
      <span class="key key-self"></span>this node <span class="key key-active"></span>working on a prompt
    </p>
  </section>
  <section class="card chat" aria-labelledby="chat-title">
    <div class="row">
      <h2 id="chat-title">Chat</h2>
      <label for="model">Model</label>
      <select id="model"></select>
      <button id="clear" type="button">Clear</button>
    </div>
    <div id="log" role="log" aria-live="polite" aria-label="Conversation" tabindex="0"></div>
    <form id="ask">
      <label for="text" class="hidden">Your message</label>
      <textarea id="text" rows="2" placeholder="Ask something" autocomplete="off"></textarea>
      <button id="send" type="submit">Send</button>
      <button id="stop" type="button" hidden>Stop</button>
    </form>
  </section>
  <section class="card" aria-labelledby="peers-title">
    <h2 id="peers-title">Peers</h2>
    <ul id="peers" class="list"></ul>
  </section>
  <section class="card" aria-labelledby="tunnels-title" id="tunnels-card" hidden>
    <h2 id="tunnels-title">Tunnels</h2>
    <ul id="tunnels" class="list"></ul>
  </section>
  <section class="card" aria-labelledby="problems-title">
    <h2 id="problems-title">Warnings and refusals</h2>
    <ul id="problems" class="list"></ul>
  </section>
</main>
<noscript><p class="card">This page needs JavaScript. The same facts: <a href="/v1/status">/v1/status</a></p></noscript>
<script>${script}</script>
</body>
</html>
`;
}
