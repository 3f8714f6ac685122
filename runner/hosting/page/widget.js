// The user interface of a call: the custom element <vagent-call>. This puts one into the
// corner of a page; the host's own page has one with layout="page":
//
//   <script src="https://HOST/widget.js" data-agent="support" async></script>
//
// Nodes and an adopted style sheet are made by script, for strict security policies.
(() => {
  const script = document.currentScript ?? document.querySelector('script[src*="widget.js"]');
  const HERE = new URL(".", script.src);

  const STATES = {
    idle: "Ready",
    microphone: "Allow the microphone",
    connecting: "Connecting",
    listening: "Listening",
    thinking: "Thinking",
    speaking: "Speaking",
    reconnecting: "Reconnecting",
  };
  const ENDINGS = {
    agent: "The agent ended the call",
    limit: "Call limit reached",
    leaving: "Service restarting",
    network: "Connection lost",
    refused: "Not connected",
  };

  // Icons, drawn as lines in a square of 24.
  const PHONE = "M5 3h3l2 5-2.5 1.5a13 13 0 0 0 7 7L16 14l5 2v3a2 2 0 0 1-2 2A17 17 0 0 1 3 5a2 2 0 0 1 2-2z";
  const MICROPHONE = "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11a7 7 0 0 0 14 0m-7 7v3";
  const SEND = "M5 12h14m-6-6 6 6-6 6";
  const DOWN = "m6 9 6 6 6-6";

  const STYLE = `
:host { color-scheme: light dark; }
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
:host([hidden]), .vagent [hidden] { display: none; }
:host(:not([layout])) {
  position: fixed; z-index: var(--vagent-z-index, 2147483000);
  right: var(--vagent-right, 16px); bottom: var(--vagent-bottom, 16px);
}
:host([layout="inline"]) { display: block; height: 32rem; }
.vagent {
  --accent: var(--vagent-accent, light-dark(#2a55d4, #8fabff));
  --on-accent: var(--vagent-accent-text, light-dark(#fff, #0c1430));
  --back: var(--vagent-background, light-dark(#fff, #16191f));
  --text: var(--vagent-text, light-dark(#161a21, #eceff4));
  --faint: color-mix(in srgb, var(--text) 68%, var(--back));
  --line: color-mix(in srgb, var(--text) 14%, var(--back));
  --soft: color-mix(in srgb, var(--text) 6%, var(--back));
  --radius: var(--vagent-radius, 16px);
  --danger: light-dark(#c02a2a, #ff8f88);
  height: 100%; font: 400 1rem/1.45 var(--vagent-font, system-ui, sans-serif);
  color: var(--text); text-align: start;
}
.vagent * { box-sizing: border-box; }
.panel {
  display: flex; flex-direction: column; height: 100%; overflow: hidden; container-type: inline-size;
  background: var(--back); border: 1px solid var(--line); border-radius: var(--radius);
  box-shadow: 0 12px 32px #00000017;
}
:host(:not([layout])) .panel {
  width: min(var(--vagent-width, 384px), 100vw - 32px);
  height: min(var(--vagent-height, 600px), 100dvh - 32px);
}
header { display: flex; align-items: center; gap: 12px; padding: 14px 16px; border-bottom: 1px solid var(--line); }
.orb { position: relative; flex: none; width: 40px; height: 40px; border-radius: 50%; background: var(--soft); display: grid; place-items: center; color: var(--faint); }
.live .orb::before { content: ""; position: absolute; inset: 0; border-radius: 50%; background: var(--accent); opacity: .28; transform: scale(calc(1 + .3 * var(--level, 0))); transition: transform 80ms linear; }
.live .orb, .primary { background: var(--accent); color: var(--on-accent); }
.orb svg { position: relative; }
.title { flex: 1; min-width: 0; }
.title > * { margin: 0; }
.name, .state { line-height: 1.3; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.name { font-size: 1.05rem; font-weight: 650; }
.state, .time { color: var(--faint); font-size: .9rem; min-height: 1.3em; font-variant-numeric: tabular-nums; }
.middle { position: relative; flex: 1; min-height: 0; display: flex; flex-direction: column; }
.log { flex: 1; min-height: 0; overflow-y: auto; padding: 16px; display: flex; flex-direction: column; gap: 10px; }
.hint { position: absolute; inset: 0; display: grid; place-content: center; margin: 0; padding: 24px; text-align: center; text-wrap: balance; color: var(--faint); pointer-events: none; }
.log:not(:empty) + .hint { display: none; }
.entry { max-width: 86%; padding: 8px 13px; border-radius: 14px; overflow-wrap: anywhere; white-space: pre-wrap; }
.log > :first-child { margin-top: auto; }
.agent { align-self: start; background: var(--soft); border-bottom-left-radius: 4px; }
.user { align-self: end; background: color-mix(in srgb, var(--accent) 16%, var(--back)); border-bottom-right-radius: 4px; }
.entry[aria-busy="true"] { color: var(--faint); }
.pending { opacity: .65; }
.entry s, .tool { color: var(--faint); }
.tool { align-self: center; font-size: .85rem; }
.tool.failed { color: var(--danger); }
.notice { margin: 0 16px 12px; padding: 9px 12px; border-radius: 10px; border: 1px solid color-mix(in srgb, var(--danger) 45%, var(--back)); background: color-mix(in srgb, var(--danger) 9%, var(--back)); }
.notice:empty { margin: 0; padding: 0; border: 0; }
footer { padding: 12px 16px 16px; border-top: 1px solid var(--line); display: grid; grid-template-columns: minmax(0, 1fr); gap: 12px; }
form, .controls { display: flex; gap: 10px; align-items: start; }
button, input, select { font: inherit; color: inherit; min-height: 44px; border-radius: 10px; border: 1px solid var(--line); margin: 0; }
:where(button) { background: var(--back); }
input, select { background: var(--back); border-color: color-mix(in srgb, var(--text) 48%, var(--back)); }
input { flex: 1; min-width: 0; padding: 0 12px; }
input::placeholder { color: var(--faint); opacity: 1; }
button { display: inline-flex; align-items: center; justify-content: center; gap: 8px; padding: 0 14px; font-weight: 600; white-space: nowrap; cursor: pointer; }
:where(button:enabled:hover) { background: var(--soft); }
button:disabled { color: color-mix(in srgb, var(--text) 45%, var(--back)); cursor: default; }
.vagent :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.log:focus-visible { outline-offset: -3px; }
.primary { border-color: transparent; }
.call { width: 8.6rem; }
.live .call { background: var(--danger); color: light-dark(#fff, #2b0503); }
.live .call svg { transform: rotate(135deg); }
.mute[aria-pressed="true"] { background: var(--text); color: var(--back); }
.microphone { flex: 1; min-width: 0; display: grid; gap: 6px; }
select { width: 100%; padding: 0 8px; }
.meter { height: 4px; border-radius: 2px; background: linear-gradient(var(--accent) 0 0) 0 / calc(100% * var(--level, 0)) no-repeat var(--line); }
.launcher { display: flex; gap: 8px; }
.launcher button { min-height: 52px; padding: 0 20px; border-radius: 26px; box-shadow: 0 4px 16px #00000033; }
.icon { width: 44px; padding: 0; }
svg { width: 20px; height: 20px; flex: none; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.hidden { position: absolute; clip-path: inset(50%); white-space: nowrap; }
@container (max-width: 27rem) {
  .controls { flex-wrap: wrap; }
  .microphone { flex-basis: 100%; }
  .mute, .call { flex: 1 1 0; padding: 0 8px; }
}
@media (prefers-reduced-motion: reduce) { .live .orb::before { transform: none; } }
`;

  /** Returns an element with attributes, listeners (`onclick`) and children. */
  function element(tag, attributes = {}, ...children) {
    const isDrawn = tag === "svg" || tag === "path";
    const space = isDrawn ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
    const node = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  const icon = (d) =>
    element("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, element("path", { d }));

  /** Returns a level for the eye, 0 to 1: decibels above -60. */
  function visibleLevel(amplitude) {
    return Math.max(0, Math.min(1, 1 + Math.log10(amplitude || 1e-9) / 3));
  }

  class VagentCall extends HTMLElement {
    #view = null; // the nodes that change
    #entries = new Map(); // of the transcript and of tool calls, by id
    #startedAt = 0;
    #clock = 0;
    #isOpened = false;
    #problem = ""; // code of the notice

    /** The current call (see call.d.ts), or null. */
    call = null;
    /** Variables of the call, unless the attribute `variables` has them as JSON. */
    variables = null;

    connectedCallback() {
      if (this.#view !== null) return;
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      // On its own page the content is in the document itself.
      const root = this.#isPage ? this : this.attachShadow({ mode: "open" });
      const scope = this.#isPage ? document : root;
      scope.adoptedStyleSheets = [...scope.adoptedStyleSheets, sheet];
      root.append(this.#build());
      if (!this.#isCorner) this.#prepare();
    }

    disconnectedCallback() {
      this.call?.hangUp();
    }

    /** The hosted agent; on its own page, the last segment of the path. */
    get agent() {
      const last = this.#isPage ? location.pathname.split("/").at(-1) : "";
      return this.#option("agent") ?? (decodeURIComponent(last) || undefined);
    }

    get #isPage() {
      return this.getAttribute("layout") === "page";
    }

    get #isCorner() {
      return !this.hasAttribute("layout");
    }

    /** Returns an attribute; the script element has it with the prefix `data-`. */
    #option(name) {
      return this.getAttribute(name) ?? this.getAttribute(`data-${name}`) ?? undefined;
    }

    // --- content

    #build() {
      const corner = this.#isCorner;
      const view = (this.#view = {});
      const button = (className, onclick, ...content) =>
        element("button", { class: className, onclick }, ...content);
      view.name = element(this.#isPage ? "h1" : "h2", { class: "name" }, this.agent ?? "Agent");
      view.state = element("p", { class: "state", "aria-live": "polite" }, STATES.idle);
      view.time = element("span", { class: "time", role: "timer" });
      view.orb = element("div", { class: "orb" }, icon(PHONE));
      view.minimize = button("icon", () => this.#show(false), icon(DOWN));
      view.minimize.ariaLabel = "Minimize";
      view.log = element("div", { class: "log", role: "log", "aria-label": "Transcript", tabindex: "0" });
      view.notice = element("p", { class: "notice", role: "alert" });
      view.text = element("input", {
        "aria-label": "Message",
        placeholder: "Type a message",
        autocomplete: "off",
        maxlength: "2000",
        enterkeyhint: "send",
      });
      view.select = element("select", { "aria-label": "Microphone", onchange: () => this.#chooseMicrophone() });
      view.meter = element("div", { class: "meter", role: "meter", "aria-label": "Microphone level" });
      view.mute = button("mute", () => this.#toggleMute(), icon(MICROPHONE), "Mute");
      view.mute.ariaPressed = "false";
      view.mute.disabled = true;
      view.label = element("span", {}, "Call");
      view.button = button("call primary", () => this.#toggleCall(), icon(PHONE), view.label);
      const title = element("div", { class: "title" }, view.name, view.state);
      const hint = element("p", { class: "hint" }, "Press Call and speak, or type a message.");
      const send = element("button", { class: "icon", "aria-label": "Send" }, icon(SEND));
      const onsubmit = (event) => this.#submit(event);
      const form = element("form", { onsubmit }, view.text, send);
      const microphone = element("div", { class: "microphone" }, view.select, view.meter);
      const controls = element("div", { class: "controls" }, microphone, view.mute, view.button);
      view.panel = element(
        "section",
        { class: "panel", "aria-label": "Voice call" },
        element("header", {}, view.orb, title, view.time, corner ? view.minimize : ""),
        element("div", { class: "middle" }, view.log, hint, view.notice),
        element("footer", {}, form, controls),
      );
      const label = this.#option("label") ?? "Call";
      view.launch = button("primary", () => this.#launch(), icon(PHONE), label);
      const type = button("", () => this.#show(true, view.text), "Type");
      view.launcher = element("div", { class: "launcher" }, type, view.launch);
      view.panel.hidden = corner;
      view.launcher.hidden = !corner;
      const onkeydown = (event) => this.#escape(event);
      view.root = element("div", { class: "vagent", onkeydown }, view.panel, view.launcher);
      this.#listMicrophones({ microphones: [], current: null });
      this.#showLevels({ input: 0, output: 0 });
      return view.root;
    }

    /** Loads the agent's name, once the element is looked at. */
    async #prepare() {
      if (this.#isOpened || this.agent === undefined) return;
      this.#isOpened = true;
      const url = new URL(`v1/agents/${encodeURIComponent(this.agent)}`, HERE);
      const response = await fetch(url, { credentials: "omit" }).catch(() => null);
      if (response?.status === 404) this.#notify("This agent does not exist.");
      if (!response?.ok) return;
      const { name } = await response.json();
      this.#view.name.textContent = name;
      if (this.#isPage) document.title = `${name} · voice call`;
    }

    #launch() {
      this.#show(true, this.#view.button);
      if (this.call === null) this.#start(this.#microphone());
    }

    #show(isOpen, focused = this.#view.launch) {
      this.#view.panel.hidden = !isOpen;
      this.#view.launcher.hidden = isOpen;
      focused.focus();
      if (isOpen) this.#prepare();
    }

    #escape(event) {
      if (event.key === "Escape" && this.#isCorner) this.#show(false);
    }

    // --- controls

    #toggleCall() {
      if (this.call === null) this.#start(this.#microphone());
      // The second click of a double click does not hang up.
      else if (performance.now() - this.#startedAt > 400) this.call.hangUp();
    }

    #toggleMute() {
      this.call?.mute();
      this.#view.mute.ariaPressed = String(this.call?.muted ?? false);
      this.#showState(this.call?.state ?? "idle");
    }

    async #submit(event) {
      event.preventDefault();
      const text = this.#view.text.value.trim();
      if (text === "") return;
      this.#view.text.value = "";
      // Typing needs no microphone: a call that begins so asks for none.
      if (this.call === null) {
        this.#view.select.value = "none";
        await this.#start(false);
      }
      this.call?.say(text);
    }

    /** Returns the choice as createCall expects it. */
    #microphone() {
      const { value } = this.#view.select;
      return { default: true, none: false }[value] ?? value;
    }

    #chooseMicrophone() {
      this.call?.setMicrophone(this.#microphone());
      this.#view.mute.disabled = this.call === null || this.#microphone() === false;
    }

    #listMicrophones({ microphones, current }) {
      const { select } = this.#view;
      if (current !== null) this.#resolve("microphone_lost");
      const chosen = current ?? (select.value || "default");
      const options = microphones.filter(({ id, label }) => id !== "default" && label !== "");
      select.replaceChildren(
        element("option", { value: "default" }, "Default microphone"),
        ...options.map(({ id, label }) => element("option", { value: id }, label)),
        element("option", { value: "none" }, "No microphone, type only"),
      );
      select.value = chosen;
      if (select.selectedIndex < 0) select.value = "default";
    }

    // --- call

    async #start(microphone) {
      const view = this.#view;
      this.#startedAt = performance.now();
      this.#notify("");
      this.#entries.clear();
      view.log.replaceChildren();
      view.time.textContent = "";
      // What is spoken was heard already: a screen reader would talk over the agent.
      view.log.ariaLive = microphone === false ? "polite" : "off";
      const core = await import(new URL("call.js", HERE)).catch(() => null);
      if (core === null) return this.#notify("The service cannot be reached.");
      if (this.call !== null) return; // two clicks while the script was loading
      const tokenUrl = this.#option("token-url") ?? this.#option("tokenurl");
      const given = this.#option("variables");
      const options = {
        url: HERE,
        agent: this.agent,
        token: tokenUrl ? () => core.fetchToken(tokenUrl) : this.#option("token"),
        variables: given ? JSON.parse(given) : this.variables,
        microphone,
      };
      const handlers = {
        state: (state) => this.#showState(state),
        transcript: (entry) => this.#showTranscript(entry),
        level: (levels) => this.#showLevels(levels),
        playback: () => {},
        tool: (tool) => this.#showTool(tool),
        devices: (devices) => this.#listMicrophones(devices),
        error: ({ code, message }) => this.#notify(message, code),
        ended: (ending) => this.#showEnding(ending),
      };
      for (const [event, handle] of Object.entries(handlers)) {
        options[`on${event[0].toUpperCase()}${event.slice(1)}`] = (detail) => {
          handle(detail);
          this.dispatchEvent(new CustomEvent(`vagent-${event}`, { detail, bubbles: true, composed: true }));
        };
      }
      this.call = core.createCall(options);
      view.root.classList.add("live");
      view.label.textContent = "Hang up";
      view.launch.lastChild.textContent = "In call";
      view.mute.disabled = microphone === false;
      this.#clock = setInterval(() => this.#showTime(), 1000);
    }

    #showState(state) {
      if (state === "ended") return; // showEnding follows
      const isQuiet = this.call?.muted && state === "listening";
      this.#view.state.textContent = isQuiet ? "You are muted" : STATES[state];
      if (state === "reconnecting") this.#notify("The connection was lost.", state);
      else this.#resolve("reconnecting");
      // The agent is heard again: what kept it from that is over.
      if (state === "speaking" && this.#problem !== "microphone_lost") this.#notify("");
    }

    #showEnding({ reason }) {
      const view = this.#view;
      clearInterval(this.#clock);
      this.call = null;
      view.root.classList.remove("live");
      view.state.textContent = ENDINGS[reason] ?? "Call ended";
      view.label.textContent = "Call";
      view.launch.lastChild.textContent = this.#option("label") ?? "Call";
      view.mute.disabled = true;
      view.mute.ariaPressed = "false";
      this.#showLevels({ input: 0, output: 0 });
      for (const entry of view.log.children) entry.ariaBusy = null;
    }

    #showTime() {
      const seconds = Math.floor((performance.now() - this.#startedAt) / 1000);
      const rest = String(seconds % 60).padStart(2, "0");
      this.#view.time.textContent = `${Math.floor(seconds / 60)}:${rest}`;
    }

    #showLevels({ input, output }) {
      const level = visibleLevel(input);
      this.#view.meter.style.setProperty("--level", level.toFixed(2));
      this.#view.meter.ariaValueNow = String(Math.round(level * 100));
      this.#view.orb.style.setProperty("--level", visibleLevel(output).toFixed(2));
    }

    #showTranscript({ id, role, text, final, interrupted, unheard, pending }) {
      if (text === "" && unheard === "") return this.#entries.get(id)?.remove();
      this.#change(id, (entry) => {
        entry.className = `entry ${role}${pending ? " pending" : ""}`;
        // A screen reader waits until the text is final.
        entry.ariaBusy = String(!final && !pending);
        const speaker = role === "user" ? "You" : this.#view.name.textContent;
        entry.replaceChildren(element("span", { class: "hidden" }, `${speaker}: `), text);
        if (interrupted && unheard) {
          entry.append(text ? " " : "", element("s", { title: "Not heard: interrupted" }, unheard));
        }
      });
    }

    #showTool({ id, name, status }) {
      this.#change(`tool ${id}`, (entry) => {
        entry.className = `tool ${status}`;
        entry.textContent = `${name}: ${status === "started" ? "running" : status}`;
      });
    }

    /** Changes or adds an entry. */
    #change(id, apply) {
      this.#keepEnd(() => {
        const entry = this.#entries.get(id) ?? element("div");
        this.#entries.set(id, entry);
        if (!entry.isConnected) this.#view.log.append(entry);
        apply(entry);
      });
    }

    /** Keeps the newest entry in view, unless the user has scrolled. */
    #keepEnd(change) {
      const { log } = this.#view;
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
      change();
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    }

    #notify(message, code = "") {
      this.#problem = code;
      this.#keepEnd(() => (this.#view.notice.textContent = message));
    }

    /** Removes the notice of a problem that is over. */
    #resolve(code) {
      if (this.#problem === code) this.#notify("");
    }
  }

  if (!customElements.get("vagent-call")) customElements.define("vagent-call", VagentCall);

  if (script.dataset.agent !== undefined) {
    const widget = document.createElement("vagent-call");
    for (const { name, value } of script.attributes) {
      if (name.startsWith("data-")) widget.setAttribute(name.slice(5), value);
    }
    const insert = () => document.body.append(widget);
    if (document.body) insert();
    else addEventListener("DOMContentLoaded", insert);
  }
})();
