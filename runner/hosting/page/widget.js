// The user interface of a call: the custom element <vagent-call>.
//
//   <script src="https://HOST/widget.js" data-agent="support" async></script>
//
// puts one into the corner of a page. The host's own page has one with layout="page". The
// element builds its content node by node and styles it by an adopted style sheet, so that
// it works under a strict content security policy. call.js is loaded by the first call.
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
    reconnecting: "Connection lost, reconnecting",
  };
  const ENDINGS = {
    hangup: "Call ended",
    agent: "The agent ended the call",
    limit: "Call limit reached",
    leaving: "Service restarting",
    network: "Connection lost",
    refused: "Not connected",
    error: "Call ended",
  };
  const TOOL_WORDS = { started: "running", done: "done", failed: "failed" };

  const PHONE =
    "M6.6 10.8a15 15 0 0 0 6.6 6.6l2.2-2.2a1 1 0 0 1 1-.25 11.4 11.4 0 0 0 3.6.57 1 1 0 0 1 1 1V20a1 1 0 0 1-1 1A17 17 0 0 1 3 4a1 1 0 0 1 1-1h3.5a1 1 0 0 1 1 1c0 1.25.2 2.45.57 3.57a1 1 0 0 1-.25 1.02z";
  const MICROPHONE =
    "M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 0 0-7 0v5A3.5 3.5 0 0 0 12 15m6.5-3.5a6.5 6.5 0 0 1-13 0h-2a8.5 8.5 0 0 0 7.5 8.44V22h2v-2.06a8.5 8.5 0 0 0 7.5-8.44z";
  const SEND = "M3 20.5v-7l9-1.5-9-1.5v-7l18 8.5z";
  const KEYBOARD =
    "M4 5h16a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V7c0-1.1.9-2 2-2m1 3v2h2V8zm4 0v2h2V8zm4 0v2h2V8zm4 0v2h2V8zM5 11.500v2h2v-2zm4 0v2h2v-2zm4 0v2h2v-2zm4 0v2h2v-2zM8 15v2h8v-2z";
  const DOWN = "M12 16 4.500 8.500 6 7l6 6 6-6 1.500 1.500z";

  const STYLE = `
    :host { color-scheme: light dark; }
    :host([theme="light"]) { color-scheme: light; }
    :host([theme="dark"]) { color-scheme: dark; }
    :host([hidden]), .vagent [hidden] { display: none; }
    :host(:not([layout])) {
      position: fixed; z-index: var(--vagent-z-index, 2147483000);
      right: var(--vagent-right, 20px); bottom: var(--vagent-bottom, 20px);
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
    .vagent *, .vagent *::before { box-sizing: border-box; }
    .panel {
      display: flex; flex-direction: column; height: 100%; overflow: hidden;
      background: var(--back); border: 1px solid var(--line); border-radius: var(--radius);
      box-shadow: 0 1px 2px #0000000d, 0 12px 32px #00000014;
    }
    :host(:not([layout])) .panel {
      width: min(var(--vagent-width, 384px), 100vw - 24px);
      height: min(var(--vagent-height, 600px), 100dvh - 40px);
    }
    header { display: flex; align-items: center; gap: 12px; padding: 14px 16px; border-bottom: 1px solid var(--line); }
    .orb { position: relative; flex: none; width: 40px; height: 40px; border-radius: 50%; background: var(--soft); display: grid; place-items: center; color: var(--faint); }
    .orb::before { content: ""; position: absolute; inset: 0; border-radius: 50%; background: var(--accent); opacity: .28; transform: scale(calc(1 + .3 * var(--level, 0))); transition: transform 80ms linear; visibility: hidden; }
    .live .orb { background: var(--accent); color: var(--on-accent); }
    .live .orb::before { visibility: visible; }
    .orb svg { position: relative; }
    .title { flex: 1; min-width: 0; }
    .title > * { margin: 0; }
    .name { font-size: 1.05rem; font-weight: 650; line-height: 1.3; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .state { color: var(--faint); font-size: .9rem; min-height: 1.3em; line-height: 1.3; }
    .time { color: var(--faint); font-size: .9rem; font-variant-numeric: tabular-nums; }
    .middle { position: relative; flex: 1; min-height: 0; display: flex; flex-direction: column; }
    .log { flex: 1; min-height: 0; overflow-y: auto; padding: 16px; display: flex; flex-direction: column; gap: 10px; overscroll-behavior: contain; }
    .hint { position: absolute; inset: 0; display: grid; place-content: center; margin: 0; padding: 24px; text-align: center; text-wrap: balance; color: var(--faint); pointer-events: none; }
    .log:not(:empty) + .hint { display: none; }
    .entry { max-width: 86%; padding: 8px 13px; border-radius: 14px; overflow-wrap: anywhere; white-space: pre-wrap; }
    .log > :first-child { margin-top: auto; }
    .agent { align-self: start; background: var(--soft); border-bottom-left-radius: 4px; }
    .user { align-self: end; background: color-mix(in srgb, var(--accent) 16%, var(--back)); border-bottom-right-radius: 4px; }
    .entry[aria-busy="true"] { color: var(--faint); }
    .pending { opacity: .65; }
    .entry s { color: var(--faint); }
    .tool { align-self: center; font-size: .85rem; color: var(--faint); }
    .tool.failed { color: var(--danger); }
    .notice { margin: 0 16px 12px; padding: 9px 12px; border-radius: 10px; font-size: .92rem; border: 1px solid color-mix(in srgb, var(--danger) 45%, var(--back)); background: color-mix(in srgb, var(--danger) 9%, var(--back)); }
    .notice:empty { display: none; }
    footer { padding: 12px 16px 16px; border-top: 1px solid var(--line); display: grid; gap: 12px; }
    form, .row { display: flex; gap: 10px; align-items: center; }
    button, input, select { font: inherit; color: inherit; min-height: 44px; border-radius: 10px; border: 1px solid var(--line); background: var(--back); margin: 0; }
    input { flex: 1; min-width: 0; padding: 0 12px; }
    input::placeholder { color: var(--faint); opacity: 1; }
    input, select { border-color: color-mix(in srgb, var(--text) 48%, var(--back)); }
    button { display: inline-flex; align-items: center; justify-content: center; gap: 8px; padding: 0 14px; font-weight: 600; cursor: pointer; }
    button:hover:not(:disabled) { background: var(--soft); }
    button:disabled { color: color-mix(in srgb, var(--text) 45%, var(--back)); cursor: default; }
    .vagent :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
    .log:focus-visible { outline-offset: -3px; }
    .primary, .primary:hover:not(:disabled) { background: var(--accent); border-color: transparent; color: var(--on-accent); }
    .primary:hover:not(:disabled) { filter: brightness(1.08); }
    .call { min-width: 8.2rem; }
    .live .call { background: var(--danger); color: light-dark(#fff, #2b0503); }
    .live .call svg { transform: rotate(135deg); }
    .mute[aria-pressed="true"] { background: var(--text); color: var(--back); }
    .mute[aria-pressed="true"] svg { opacity: .6; }
    .microphone { flex: 1; min-width: 0; display: grid; gap: 6px; }
    select { width: 100%; padding: 0 8px; text-overflow: ellipsis; }
    .meter { height: 4px; border-radius: 2px; background: var(--line); overflow: hidden; }
    .meter::before { content: ""; display: block; height: 100%; background: var(--accent); transform-origin: left; transform: scaleX(var(--level, 0)); transition: transform 60ms linear; }
    .launcher { display: flex; gap: 8px; }
    .launcher button { min-height: 52px; border-radius: 26px; box-shadow: 0 2px 6px #0000001f, 0 8px 24px #0000001f; }
    .launcher .primary { padding: 0 22px; }
    .icon { width: 44px; padding: 0; }
    .launcher .icon { width: 52px; }
    svg { width: 20px; height: 20px; fill: currentColor; flex: none; }
    .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    .vagent.page .panel { border-radius: 0; }
    @media (min-width: 44rem) { .vagent.page .panel { border-radius: var(--radius); } }
    @media (max-width: 26rem) {
      .controls { flex-wrap: wrap; }
      .microphone { flex-basis: 100%; }
      .mute, .call { flex: 1; }
      :host(:not([layout])) { right: 12px; bottom: 12px; }
    }
    @media (prefers-reduced-motion: reduce) { .orb::before, .meter::before { transition: none; } }
  `;

  /** Returns an element with attributes, listeners (`onclick`) and children. */
  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") node.addEventListener(name.slice(2), value);
      else if (value !== false) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  function icon(path) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
    shape.setAttribute("d", path);
    svg.append(shape);
    return svg;
  }

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

    /** The current call (see call.d.ts), or null. */
    call = null;
    /** Variables of the call, unless the attribute `variables` has them as JSON. */
    variables = null;

    connectedCallback() {
      if (this.#view !== null) return;
      const isPage = this.getAttribute("layout") === "page";
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      // The page has its content in the document itself, for everybody's tools.
      const root = isPage ? this : this.attachShadow({ mode: "open" });
      const scope = isPage ? document : root;
      scope.adoptedStyleSheets = [...scope.adoptedStyleSheets, sheet];
      root.append(this.#build(isPage));
      if (this.hasAttribute("layout")) this.#prepare();
    }

    disconnectedCallback() {
      this.call?.hangUp();
    }

    get agent() {
      const last = location.pathname.split("/").filter(Boolean).at(-1) ?? "";
      const isPage = this.getAttribute("layout") === "page";
      return this.#option("agent") ?? (isPage ? decodeURIComponent(last) : undefined);
    }

    /** Returns an attribute; the script element has it with the prefix `data-`. */
    #option(name) {
      return this.getAttribute(name) ?? this.getAttribute(`data-${name}`) ?? undefined;
    }

    // ------------------------------------------------------------------- content

    #build(isPage) {
      const corner = !this.hasAttribute("layout");
      const view = (this.#view = {});
      view.name = element(isPage ? "h1" : "h2", { class: "name" }, this.agent ?? "Agent");
      view.state = element("p", { class: "state", "aria-live": "polite" }, STATES.idle);
      view.time = element("span", { class: "time", role: "timer" });
      view.orb = element("div", { class: "orb" }, icon(PHONE));
      view.minimize = element(
        "button",
        { class: "icon", type: "button", "aria-label": "Minimize", onclick: () => this.#show(false) },
        icon(DOWN),
      );
      view.log = element("div", { class: "log", role: "log", "aria-label": "Transcript", tabindex: "0" });
      view.notice = element("p", { class: "notice", role: "alert" });
      view.text = element("input", {
        type: "text",
        name: "message",
        "aria-label": "Message",
        placeholder: "Type instead of speaking",
        autocomplete: "off",
        maxlength: "2000",
        enterkeyhint: "send",
      });
      view.select = element("select", { "aria-label": "Microphone", onchange: () => this.#chooseMicrophone() });
      view.meter = element("div", {
        class: "meter",
        role: "meter",
        "aria-label": "Microphone level",
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        "aria-valuenow": "0",
      });
      view.mute = element(
        "button",
        { class: "mute", type: "button", "aria-pressed": "false", disabled: "", onclick: () => this.#toggleMute() },
        icon(MICROPHONE),
        "Mute",
      );
      view.label = element("span", {}, "Call");
      view.button = element(
        "button",
        { class: "call primary", type: "button", onclick: () => this.#toggleCall() },
        icon(PHONE),
        view.label,
      );
      view.panel = element(
        "section",
        { class: "panel", "aria-label": "Voice call", hidden: corner ? "" : false },
        element("header", {}, view.orb, element("div", { class: "title" }, view.name, view.state), view.time, corner ? view.minimize : ""),
        element(
          "div",
          { class: "middle" },
          view.log,
          element("p", { class: "hint" }, "Press Call and speak, or type a message."),
          view.notice,
        ),
        element(
          "footer",
          {},
          element(
            "form",
            { onsubmit: (event) => this.#submit(event) },
            view.text,
            element("button", { class: "icon", "aria-label": "Send" }, icon(SEND)),
          ),
          element(
            "div",
            { class: "row controls" },
            element("div", { class: "microphone" }, view.select, view.meter),
            view.mute,
            view.button,
          ),
        ),
      );
      view.launch = element(
        "button",
        { class: "primary", type: "button", onclick: () => this.#launch() },
        icon(PHONE),
        this.#option("label") ?? "Call",
      );
      view.launcher = element(
        "div",
        { class: "launcher", hidden: corner ? false : "" },
        element(
          "button",
          { class: "icon", type: "button", "aria-label": "Type a message", onclick: () => this.#show(true, view.text) },
          icon(KEYBOARD),
        ),
        view.launch,
      );
      view.root = element(
        "div",
        { class: isPage ? "vagent page" : "vagent", onkeydown: (event) => this.#escape(event) },
        view.panel,
        view.launcher,
      );
      this.#listMicrophones([], null);
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
      if (this.getAttribute("layout") === "page") document.title = `${name} · voice call`;
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
      if (event.key === "Escape" && !this.#view.panel.hidden && !this.hasAttribute("layout")) {
        this.#show(false);
      }
    }

    // ------------------------------------------------------------------ controls

    #toggleCall() {
      if (this.call === null) this.#start(this.#microphone());
      // The second click of a double click does not hang up.
      else if (performance.now() - this.#startedAt > 400) this.call.hangUp();
    }

    #toggleMute() {
      this.call?.mute();
      this.#view.mute.setAttribute("aria-pressed", String(this.call?.muted ?? false));
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
      this.#view.mute.disabled = this.call === null || this.#microphone() === false;
      this.call?.setMicrophone(this.#microphone());
    }

    #listMicrophones(microphones, current) {
      const { select } = this.#view;
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

    // ---------------------------------------------------------------------- call

    async #start(microphone) {
      const view = this.#view;
      this.#startedAt = performance.now();
      this.#notify("");
      this.#entries.clear();
      view.log.replaceChildren();
      // What is spoken was heard already: a screen reader would talk over the agent.
      view.log.setAttribute("aria-live", microphone === false ? "polite" : "off");
      let core;
      try {
        core = await import(new URL("call.js", HERE));
      } catch {
        this.#notify("The service cannot be reached. Check your connection, then call again.");
        return;
      }
      if (this.call !== null) return; // two clicks while the script was loading
      const tokenUrl = this.#option("token-url") ?? this.#option("tokenurl");
      const given = this.#option("variables");
      const options = {
        url: HERE,
        agent: this.agent,
        token: tokenUrl ? () => fetchToken(tokenUrl) : this.#option("token"),
        variables: given ? JSON.parse(given) : this.variables,
        microphone,
      };
      const handlers = {
        state: (state) => this.#showState(state),
        transcript: (entry) => this.#showTranscript(entry),
        level: (levels) => this.#showLevels(levels),
        playback: () => {},
        tool: (tool) => this.#showTool(tool),
        devices: ({ microphones, current }) => this.#listMicrophones(microphones, current),
        error: ({ message }) => this.#notify(message),
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
      if (state === "listening" && this.#view.notice.dataset.code === "reconnecting") this.#notify("");
    }

    #showEnding({ reason }) {
      const view = this.#view;
      clearInterval(this.#clock);
      this.call = null;
      view.root.classList.remove("live");
      view.state.textContent = ENDINGS[reason];
      view.label.textContent = "Call";
      view.launch.lastChild.textContent = this.#option("label") ?? "Call";
      view.mute.disabled = true;
      view.mute.setAttribute("aria-pressed", "false");
      this.#showLevels({ input: 0, output: 0 });
      for (const entry of view.log.children) entry.removeAttribute("aria-busy");
    }

    #showTime() {
      const seconds = Math.floor((performance.now() - this.#startedAt) / 1000);
      const rest = String(seconds % 60).padStart(2, "0");
      this.#view.time.textContent = `${Math.floor(seconds / 60)}:${rest}`;
    }

    #showLevels({ input, output }) {
      const level = visibleLevel(input);
      this.#view.meter.style.setProperty("--level", level.toFixed(2));
      this.#view.meter.setAttribute("aria-valuenow", String(Math.round(level * 100)));
      this.#view.orb.style.setProperty("--level", visibleLevel(output).toFixed(2));
    }

    #showTranscript({ id, role, text, final, interrupted, unheard, pending }) {
      if (text === "" && unheard === "") return this.#entries.get(id)?.remove();
      this.#change(id, (entry) => {
        entry.className = `entry ${role}${pending ? " pending" : ""}`;
        // A screen reader waits until the text is final.
        entry.setAttribute("aria-busy", String(!final && !pending));
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
        entry.textContent = `${name}: ${TOOL_WORDS[status] ?? status}`;
      });
    }

    /** Changes or adds an entry; the newest one stays in view unless the user scrolled. */
    #change(id, apply) {
      const { log } = this.#view;
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
      let entry = this.#entries.get(id);
      if (entry === undefined) {
        entry = element("div");
        this.#entries.set(id, entry);
        log.append(entry);
      }
      apply(entry);
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    }

    #notify(message) {
      this.#view.notice.textContent = message;
    }
  }

  async function fetchToken(url) {
    const response = await fetch(url, { credentials: "same-origin", cache: "no-store" });
    if (!response.ok) throw new TypeError(`${url}: HTTP status ${response.status}`);
    return response.json();
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
