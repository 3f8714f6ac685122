// One call with a hosted agent, without any user interface. call.d.ts documents the API.
//
// A call asks for the microphone first, then for a token, then opens the socket: a page
// that is only looked at, or whose visitor refuses the microphone, costs the host nothing.

const HERE = new URL(".", import.meta.url);

const FADE_MS = 20; // until the audio thread has faded out what it played
const READY_MS = 30000; // for the agent to answer
const RESUME_MS = 30000; // as long as the server keeps a session without a connection
const ATTEMPT_MS = 5000; // for one attempt to reconnect
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 2000;
const FAREWELL_MS = 2000; // for the answer to session.end
const DRAIN_MS = 15000; // for the last words after the agent has hung up
const RESUMED_MS = 500; // for the context to run, unless the browser waits for a click
const FULL_BYTES = 96000; // unsent, 2 s of audio: more would be late
const STALLED_MS = 5000; // with a full buffer: the network is gone

/** What went wrong, in words for the caller. `{retry}` is "in 30 seconds" or "later". */
const MESSAGES = {
  microphone_denied:
    "The microphone is blocked. Allow it in the browser's site settings and call again, or type.",
  microphone_missing: "No microphone was found. Connect one and call again, or type.",
  microphone_busy:
    "The microphone cannot be used. Close other programs that use it and call again, or type.",
  microphone_lost: "The microphone was disconnected. Choose another one, or type.",
  insecure_page: "The browser allows calls only on pages that are opened with https://.",
  audio_suspended: "The browser holds the audio back. Click the page to hear the agent.",
  // The browser does not show why a socket was refused.
  network: "The service cannot be reached or is busy. Please call again later.",
  network_lost: "The connection was lost and could not be restored.",
  session_not_found: "The connection was lost for too long to continue the call.",
  all_busy: "All lines are busy. Please call again {retry}.",
  leaving: "The service is restarting. Please call again {retry}.",
  token_required: "Calls to this agent are not allowed from here.",
  origin_refused: "Calls to this agent are not allowed from this site.",
  unauthorized: "The permission for this call is not valid or has expired.",
  agent_not_found: "This agent does not exist.",
};
const CODES_BY_STATUS = {
  401: "token_required",
  403: "origin_refused",
  404: "agent_not_found",
  429: "caller_limit",
  503: "all_busy",
};
const CODES_BY_EXCEPTION = {
  NotAllowedError: "microphone_denied",
  NotFoundError: "microphone_missing",
  NotReadableError: "microphone_busy",
};
// Of a call that had begun.
const REASONS_BY_CODE = {
  session_expired: "limit",
  leaving: "leaving",
  network_lost: "network",
  session_not_found: "network",
};

class CallError extends Error {
  constructor(code, { detail = "", retryAfter = null } = {}) {
    // Other codes, such as those of limits, are explained by the server.
    const text = MESSAGES[code] || detail || "The call failed. Please call again {retry}.";
    super(text.replace("{retry}", retryAfter ? `in ${retryAfter} seconds` : "later"));
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** Starts a call; call.d.ts has the types. */
export function createCall(options) {
  return new Call(options);
}

class Call {
  #options;
  #audio;
  #url; // of the host
  #socket = null;
  #socketUrl;
  #session = null; // {id, token}, once the agent is ready
  #phase = "starting"; // live, resuming, over
  #state = "";
  #lostAt = 0;
  #retryMs = FIRST_RETRY_MS;
  #timers = { ready: 0, retry: 0, attempt: 0 };
  #refusal = null; // the last session.error, which explains why the socket closes
  #fullSince = 0;
  #abort = new AbortController();
  #pending = []; // texts that were typed without a connection
  #typed = 0;
  #userTurns = 0;
  #reply = { id: null, text: "" };
  #cut = new Set(); // replies that were interrupted: the rest of their audio is late
  #isPlaying = false;
  #isThinking = false;
  #isMuted = false;

  constructor(options) {
    this.#options = options;
    this.#url = new URL(options.url ?? HERE, HERE);
    if (!this.#url.pathname.endsWith("/")) this.#url.pathname += "/";
    this.#audio = new CallAudio({
      frame: (pcm) => this.#sendAudio(pcm),
      level: (levels) => this.#emit("level", levels),
      playback: (report) => this.#played(report),
      devices: (devices) => this.#emit("devices", devices),
      error: (code) => this.#emitError(new CallError(code), false),
    });
    const { signal } = this.#abort;
    addEventListener("pagehide", () => this.hangUp(), { signal });
    addEventListener("offline", () => this.#lost(), { signal });
    addEventListener("online", () => this.#retry(0), { signal });
    // In a microtask, so that the caller has the object before the first event.
    queueMicrotask(() => this.#start());
  }

  get state() {
    return this.#state;
  }

  get muted() {
    return this.#isMuted;
  }

  hangUp() {
    this.#finish("hangup");
  }

  mute(muted = !this.#isMuted) {
    this.#isMuted = muted;
    this.#audio.mute(muted);
    this.#update();
  }

  say(text) {
    const content = text.trim();
    if (content === "" || this.#phase === "over") return;
    const entry = { id: `typed-${++this.#typed}`, role: "user", text: content };
    this.#pending.push(entry);
    if (this.#phase === "live") this.#sendPending();
    else this.#emitTranscript({ ...entry, pending: true });
  }

  async setMicrophone(choice) {
    try {
      await this.#audio.setMicrophone(choice);
    } catch (error) {
      this.#emitError(asCallError(error), false);
    }
  }

  // --- starting

  async #start() {
    const { microphone = true } = this.#options;
    try {
      if (microphone !== false) {
        this.#setState("microphone");
        await this.#audio.setMicrophone(microphone);
      }
      if (this.#phase === "over") return;
      this.#setState("connecting");
      await this.#audio.start();
      if (this.#phase === "over") return;
      const { token, url } = await this.#getToken();
      if (this.#phase === "over") return;
      this.#socketUrl = new URL(url ?? "v1/ws", this.#url);
      if (token) this.#socketUrl.searchParams.set("token", token);
      const { agent, variables } = this.#options;
      const session = {};
      if (agent) session.agent_id = agent;
      if (variables && Object.keys(variables).length > 0) session.variables = variables;
      this.#timers.ready = setTimeout(() => this.#fail("network"), READY_MS);
      this.#open({ type: "session.update", session });
    } catch (error) {
      if (this.#phase !== "over") this.#fail(asCallError(error));
    }
  }

  /** Returns {token, url}; without a token of the caller's own, asks the host. */
  async #getToken() {
    const { token, agent } = this.#options;
    if (typeof token === "function") {
      const given = await token();
      return typeof given === "string" ? { token: given } : given;
    }
    if (token) return { token };
    const url = new URL("v1/token", this.#url);
    if (agent) url.searchParams.set("agent", agent);
    return fetchToken(url, this.#abort.signal);
  }

  #open(first) {
    const url = new URL(this.#socketUrl);
    url.protocol = url.protocol.replace("http", "ws");
    // Behind a proxy the host may not know that the page was loaded by https.
    if (location.protocol === "https:") url.protocol = "wss:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify(first));
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => this.#closed(code);
  }

  // --- receiving

  #receive(message) {
    switch (message.type) {
      case "session.ready":
        return this.#ready(message);
      case "session.error":
        return this.#sessionError(message);
      case "session.ended":
        return this.#ended();
      case "input.speech.started":
        this.#isThinking = false;
        return this.#interrupt();
      case "transcript.user.delta":
        return this.#userTranscript(message, false);
      case "transcript.user":
        this.#isThinking = true;
        return this.#userTranscript(message, true);
      case "reply.started":
        this.#reply = { id: message.reply_id, text: "" };
        this.#isThinking = true;
        return this.#update();
      case "reply.audio":
        return this.#replyAudio(message);
      case "transcript.agent.delta":
        return this.#agentDelta(message);
      case "transcript.agent":
        return this.#agentTranscript(message);
      case "reply.done":
        return this.#replyDone(message);
      case "reply.error":
        this.#isThinking = false;
        return this.#emitError(new CallError(message.code, { detail: message.message }), false);
      case "vagent.tool": {
        const { call_id: id, name, status } = message;
        return this.#emit("tool", { id, name, status });
      }
    }
  }

  #ready({ session_id: id, resume_token: token }) {
    clearTimeout(this.#timers.ready);
    clearTimeout(this.#timers.attempt);
    this.#session = { id, token };
    this.#refusal = null;
    this.#retryMs = FIRST_RETRY_MS;
    this.#phase = "live";
    this.#isThinking = false;
    this.#update();
    this.#sendPending();
  }

  #sessionError({ code: rawCode, message: detail, retry_after: retryAfter }) {
    const code = String(rawCode ?? "").toLowerCase();
    const error = new CallError(code, { detail, retryAfter });
    // Before the agent is ready every error is final: the socket closes next.
    if (this.#phase !== "live" || code in REASONS_BY_CODE) this.#refusal = error;
    else this.#emitError(error, false);
  }

  /** The agent or the server ended the call: its last words are played. */
  #ended() {
    if (this.#refusal) this.#fail(this.#refusal);
    else this.#finish("agent");
  }

  #userTranscript({ item_id: itemId, text }, final) {
    const id = itemId || `user-${this.#userTurns}`;
    if (final) this.#userTurns += 1;
    this.#emitTranscript({ id, role: "user", text, final });
    this.#update();
  }

  #agentDelta({ reply_id: id, delta }) {
    if (this.#reply.id !== id) this.#reply = { id, text: "" };
    const isApart = /\s$|^$/.test(this.#reply.text) || /^[\s,.;:!?)]/.test(delta);
    // Some services send words with the space that follows them, others without.
    this.#reply.text += isApart || !isSpaced(delta) ? delta : ` ${delta}`;
    this.#emitTranscript({ id, role: "agent", text: this.#reply.text.trimEnd(), final: false });
  }

  #agentTranscript({ reply_id: id, text, interrupted = false }) {
    const announced = this.#reply.id === id ? this.#reply.text : "";
    const unheard = interrupted ? textAfter(text, announced) : "";
    this.#emitTranscript({ id, role: "agent", text, final: true, interrupted, unheard });
  }

  #replyAudio({ reply_id: id, data }) {
    if (this.#cut.has(id)) return;
    this.#isThinking = false;
    this.#reply = this.#reply.id === id ? this.#reply : { id, text: "" };
    this.#audio.play(id, data);
  }

  #replyDone({ reply_id: id, status }) {
    this.#isThinking = false;
    if (status === "interrupted") {
      this.#cut.add(id);
      this.#audio.flush();
    } else {
      this.#audio.endReply();
    }
    this.#update();
  }

  // --- playback

  /** Stops the agent: the caller speaks or types. */
  #interrupt() {
    this.#cut.add(this.#reply.id);
    this.#audio.flush();
    this.#update();
  }

  #played({ kind, reply, played, buffered }) {
    this.#isPlaying = kind === "started" || kind === "tick" || kind === "next";
    this.#emit("playback", { replyId: reply, playedMs: played, bufferedMs: buffered });
    if (reply !== null && this.#phase === "live") {
      this.#send({ type: "vagent.playback", reply_id: reply, played_ms: played });
    }
    this.#update();
  }

  // --- sending

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  #sendAudio(pcm) {
    if (this.#phase !== "live") return;
    // A dead network gives no error for minutes: the growing buffer shows it.
    if (this.#socket.bufferedAmount > FULL_BYTES) {
      this.#fullSince ||= performance.now();
      if (performance.now() - this.#fullSince > STALLED_MS) this.#lost();
      return;
    }
    this.#fullSince = 0;
    this.#send({ type: "input.audio", audio: toBase64(new Uint8Array(pcm)) });
  }

  #sendPending() {
    if (this.#pending.length === 0) return;
    this.#interrupt();
    for (const entry of this.#pending.splice(0)) {
      this.#emitTranscript({ ...entry, final: true });
      this.#send({ type: "conversation.message", role: "user", content: entry.text });
    }
    this.#send({ type: "reply.create" });
    this.#isThinking = true;
    this.#update();
  }

  // --- reconnecting

  #closed(code) {
    if (this.#refusal) return this.#fail(this.#refusal);
    if (this.#phase === "resuming") return this.#retry();
    if (this.#phase === "live") {
      return code === 1000 || code === 1008 ? this.#finish("agent") : this.#lost();
    }
    // 1001, 1012: the server leaves; 1013: it is busy.
    this.#fail({ 1001: "leaving", 1012: "leaving", 1013: "all_busy" }[code] ?? "network");
  }

  /** The connection is gone: opens a new one with the same session. */
  #lost() {
    if (this.#phase !== "live") return;
    this.#phase = "resuming";
    this.#lostAt = performance.now();
    this.#update();
    this.#retry();
  }

  #retry(delay = this.#retryMs) {
    if (this.#phase !== "resuming") return;
    clearTimeout(this.#timers.retry);
    clearTimeout(this.#timers.attempt);
    this.#dropSocket();
    if (performance.now() - this.#lostAt + delay > RESUME_MS) return this.#fail("network_lost");
    this.#timers.retry = setTimeout(() => {
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
      this.#timers.attempt = setTimeout(() => this.#retry(), ATTEMPT_MS);
      this.#resume();
    }, delay);
  }

  #resume() {
    const { id, token } = this.#session;
    if (token) this.#socketUrl.searchParams.set("token", token);
    this.#open({ type: "session.resume", session_id: id });
  }

  /** Forgets a socket that is of no use: it may take minutes to close. */
  #dropSocket() {
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  // --- ending

  #fail(cause) {
    const error = cause instanceof CallError ? cause : new CallError(cause);
    this.#finish(this.#session ? REASONS_BY_CODE[error.code] ?? "error" : "refused", error);
  }

  #finish(reason, error = null) {
    if (this.#phase === "over") return;
    const phase = this.#phase;
    this.#phase = "over";
    Object.values(this.#timers).forEach(clearTimeout);
    this.#abort.abort();
    this.#farewell(reason, phase);
    if (error !== null) this.#emitError(error, true);
    this.#setState("ended");
    this.#emit("ended", { reason, code: error?.code ?? null, message: error?.message ?? "" });
  }

  #farewell(reason, phase) {
    if (phase === "live" && reason !== "hangup") this.#audio.drain();
    else this.#audio.close();
    // A session without a connection is resumed to be ended: until then it is paid for.
    if (phase === "resuming" && reason === "hangup" && !this.#socket) this.#resume();
    const socket = this.#socket;
    if (socket === null) return;
    socket.onclose = null;
    socket.onmessage = ({ data }) => {
      if (JSON.parse(data).type === "session.ended") socket.close(1000);
    };
    const isOpen = socket.readyState === WebSocket.OPEN;
    if (reason !== "hangup" || (phase === "starting" && !isOpen)) return socket.close();
    const end = () => socket.send('{"type":"session.end"}');
    if (isOpen) end();
    else socket.addEventListener("open", end); // after the handler that resumes
    setTimeout(() => socket.close(), FAREWELL_MS);
  }

  // --- events

  #update() {
    if (this.#phase === "resuming") this.#setState("reconnecting");
    if (this.#phase !== "live") return;
    if (this.#isPlaying) this.#setState("speaking");
    else this.#setState(this.#isThinking ? "thinking" : "listening");
  }

  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#emit("state", state);
  }

  #emitTranscript(entry) {
    const rest = { final: false, interrupted: false, unheard: "", pending: false };
    this.#emit("transcript", { ...rest, ...entry });
  }

  #emitError(error, fatal) {
    const { code, message, retryAfter } = error;
    this.#emit("error", { code, message, retryAfter, fatal });
  }

  #emit(event, value) {
    const handler = this.#options[`on${event[0].toUpperCase()}${event.slice(1)}`];
    if (handler === undefined) return;
    // An error in a handler of the page must not end the call.
    try {
      handler(value);
    } catch (error) {
      reportError(error);
    }
  }
}

/** Microphone and playback of a call: one context and one node of the audio thread. */
class CallAudio {
  #on;
  #context = null;
  #node = null;
  #stream = null;
  #source = null;
  #isMuted = false;
  #isClosed = false;
  #request = 0; // number of the last choice of a microphone
  #abort = new AbortController();
  #drainTimer = 0;

  constructor(handlers) {
    this.#on = handlers;
    const { signal } = this.#abort;
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#listDevices(), { signal });
    // A context that was started without a click, or was interrupted by a phone call.
    const resume = () => this.#context?.state !== "running" && this.#context?.resume();
    for (const type of ["pointerdown", "keydown"]) {
      document.addEventListener(type, resume, { signal, capture: true });
    }
  }

  async setMicrophone(choice) {
    const request = ++this.#request;
    const stream = choice === false ? null : await openMicrophone(choice);
    if (request !== this.#request || this.#isClosed) {
      stopStream(stream); // another choice was faster, or the call is over
      return;
    }
    stopStream(this.#stream);
    this.#stream = stream;
    this.mute(this.#isMuted);
    stream?.getAudioTracks()[0].addEventListener("ended", () => this.#microphoneLost(stream));
    if (this.#node !== null) this.#connect();
    this.#listDevices();
  }

  async start() {
    const context = new AudioContext();
    this.#context = context;
    if (!context.audioWorklet) throw new CallError("insecure_page");
    await context.audioWorklet.addModule(new URL("worklet.js", HERE));
    if (this.#isClosed) return;
    this.#node = new AudioWorkletNode(context, "vagent-call", {
      outputChannelCount: [1],
      channelCount: 1, // a stereo microphone is mixed down
      channelCountMode: "explicit",
    });
    this.#node.port.onmessage = ({ data }) => this.#receive(data);
    this.#node.connect(context.destination);
    this.#connect();
    context.resume();
    setTimeout(() => {
      if (context.state === "suspended") this.#on.error("audio_suspended");
    }, RESUMED_MS);
  }

  mute(muted) {
    this.#isMuted = muted;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  play(reply, data) {
    const bytes = fromBase64(data);
    const samples = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
    this.#post({ type: "audio", reply, samples }, [bytes.buffer]);
  }

  endReply() {
    this.#post({ type: "end" });
  }

  flush() {
    this.#post({ type: "flush" });
  }

  /** Releases the microphone at once, and the speaker when the buffer is played. */
  drain() {
    this.#releaseMicrophone();
    if (this.#node === null || this.#context.state !== "running") return this.close();
    this.#drainTimer = setTimeout(() => this.close(), DRAIN_MS);
    this.#post({ type: "drain" });
  }

  close() {
    if (this.#isClosed) return;
    clearTimeout(this.#drainTimer);
    this.#releaseMicrophone();
    this.#isClosed = true;
    this.flush();
    const context = this.#context;
    if (this.#node !== null) this.#node.port.onmessage = null;
    if (context === null) return;
    setTimeout(() => context.close(), FADE_MS);
  }

  #releaseMicrophone() {
    this.#request += 1;
    this.#abort.abort();
    this.#source?.disconnect();
    stopStream(this.#stream);
    this.#stream = null;
  }

  #connect() {
    this.#source?.disconnect();
    this.#source = this.#stream && this.#context.createMediaStreamSource(this.#stream);
    this.#source?.connect(this.#node);
  }

  #receive(data) {
    if (data.type === "frame") this.#on.frame(data.pcm);
    else if (data.type === "level") this.#on.level({ input: data.input, output: data.output });
    else if (data.type === "playback") this.#on.playback(data);
    else if (data.type === "drained") this.close();
  }

  #post(message, transfer = []) {
    this.#node?.port.postMessage(message, transfer);
  }

  /** The device was unplugged or its permission was withdrawn: takes the default one. */
  async #microphoneLost(stream) {
    if (stream !== this.#stream) return;
    try {
      await this.setMicrophone(true);
    } catch {
      this.#on.error("microphone_lost");
      await this.setMicrophone(false);
    }
  }

  async #listDevices() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    if (this.#isClosed) return;
    const microphones = devices
      .filter(({ kind, deviceId }) => kind === "audioinput" && deviceId !== "")
      .map(({ deviceId: id, label }) => ({ id, label }));
    const current = this.#stream?.getAudioTracks()[0].getSettings().deviceId ?? null;
    this.#on.devices({ microphones, current });
  }
}

async function openMicrophone(choice) {
  if (!navigator.mediaDevices) throw new CallError("insecure_page");
  const audio = {
    echoCancellation: true,
    noiseSuppression: false, // it removes the speech of others that the agent should hear
    autoGainControl: true,
    channelCount: 1,
  };
  if (typeof choice === "string") audio.deviceId = { exact: choice };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    // The chosen device is gone: the default one is better than none.
    if (error.name === "OverconstrainedError" && audio.deviceId) return openMicrophone(true);
    throw error;
  }
}

function stopStream(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Returns {token, url} from an address; a refusal becomes an error of the call. */
export async function fetchToken(url, signal) {
  const response = await fetch(url, { signal, cache: "no-store" });
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const code = body.code ?? CODES_BY_STATUS[response.status] ?? "network";
  const retryAfter = body.retry_after ?? Number(response.headers.get("Retry-After"));
  throw new CallError(code, { detail: body.message, retryAfter: retryAfter || null });
}

function asCallError(error) {
  if (error instanceof CallError) return error;
  const code = CODES_BY_EXCEPTION[error.name] ?? (error instanceof TypeError ? "network" : "error");
  return new CallError(code, { detail: error.message });
}

/** Returns true for words of languages that separate words by spaces. */
function isSpaced(word) {
  return !/^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u.test(word);
}

/** Returns the words of `whole` that follow as many words as `start` has. */
function textAfter(start, whole) {
  if (whole.startsWith(start)) return whole.slice(start.length).trim();
  const count = start.split(/\s+/).filter(Boolean).length;
  return whole.trim().split(/\s+/).slice(count).join(" ");
}

function toBase64(bytes) {
  return bytes.toBase64?.() ?? btoa(String.fromCharCode.apply(null, bytes));
}

function fromBase64(text) {
  return Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
