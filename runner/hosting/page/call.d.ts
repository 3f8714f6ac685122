// Types of call.js. Copy this file next to your own code, or refer to it:
//
//   import { createCall } from "https://HOST/call.js";

export interface CallOptions {
  /** Address of the host, with its path prefix. Default: where call.js comes from. */
  url?: string | URL;
  /** The hosted agent. Not needed if the host has one agent only. */
  agent?: string;
  /**
   * The call token, or a function that fetches one from your backend. A token admits one
   * call. Without it, the host is asked for one, and answers if it is open to everybody.
   */
  token?: string | (() => Promise<string | { token: string; url?: string }>);
  /** Variables that the agent declares with `source: call`. */
  variables?: Record<string, string>;
  /** true: the default microphone. A string: a device id. false: a typed call. */
  microphone?: boolean | string;

  onState?(state: CallState): void;
  onTranscript?(entry: TranscriptEntry): void;
  onTool?(tool: ToolStatus): void;
  /** About 20 times a second. Root mean square, 0 to 1. */
  onLevel?(levels: { input: number; output: number }): void;
  /** What was played of a reply, every 250 ms and when playback stops. */
  onPlayback?(report: { replyId: string | null; playedMs: number; bufferedMs: number }): void;
  /** When the microphone opens and when a device is connected or removed. */
  onDevices?(devices: { microphones: Microphone[]; current: string | null }): void;
  /** A fatal error ends the call: onEnded follows. */
  onError?(error: CallError): void;
  onEnded?(ending: { reason: EndReason; code: string | null; message: string }): void;
}

export type CallState =
  | "microphone" // the browser asks for permission
  | "connecting"
  | "listening"
  | "thinking"
  | "speaking"
  | "reconnecting"
  | "ended";

export type EndReason =
  | "hangup"
  | "agent" // the agent or the host ended the call
  | "limit" // duration or silence
  | "leaving" // the host shuts down
  | "network"
  | "refused" // the call did not begin
  | "error";

/** Each change of an entry is reported with its whole text, under the same id. */
export interface TranscriptEntry {
  id: string;
  role: "user" | "agent";
  text: string;
  final: boolean;
  /** The agent was interrupted after `text`; the caller did not hear `unheard`. */
  interrupted: boolean;
  unheard: string;
  /** Typed text that waits for the connection. */
  pending: boolean;
}

export interface ToolStatus {
  id: string;
  name: string;
  status: "started" | "done" | "failed";
}

export interface Microphone {
  id: string;
  label: string; // empty until the microphone is allowed
}

export interface CallError {
  /** For example microphone_denied, all_busy, network_lost; see the documentation. */
  code: string;
  /** A sentence for the caller. */
  message: string;
  /** Seconds, if the host named them. */
  retryAfter: number | null;
  fatal: boolean;
}

export interface Call {
  readonly state: CallState | "";
  readonly muted: boolean;
  hangUp(): void;
  /** Without an argument, toggles. */
  mute(muted?: boolean): void;
  /** Sends typed text and interrupts the agent; waits if there is no connection. */
  say(text: string): void;
  /** The values of CallOptions.microphone. */
  setMicrophone(choice: boolean | string): Promise<void>;
}

/** Starts a call. Call it in a click, so that the browser plays audio. */
export function createCall(options: CallOptions): Call;

/** Fetches {token, url?} from your backend; a refusal becomes an error of the call. */
export function fetchToken(
  url: string | URL,
  signal?: AbortSignal,
): Promise<{ token: string; url?: string }>;
