// The audio thread of a call: one node that captures the microphone and plays the agent.
//
// The wire has 24 kHz PCM16; the device has its own rate. Both directions are resampled
// here, because a context of another rate than the device breaks echo cancellation or is
// refused by the browser. `Resampler` and `Playback` use no audio API.

const WIRE_RATE = 24000;
const FRAME_SAMPLES = 960; // 40 ms of microphone audio in one message
const SLICE_SAMPLES = 64; // resampled at once during playback: 2.7 ms

const TARGET_MS = 60; // buffered before playback starts
const MAX_TARGET_MS = 240;
const JITTER_MS = 500; // a longer gap is a pause of the speaker, not jitter
const CALM_MS = 10000; // of playback without an underrun, before the target shrinks
const FADE_MS = 5;
const REPORT_MS = 250;
const LEVEL_MS = 50;

const ATTENUATION_DB = 80; // of everything above half of the lower rate
const ZERO_CROSSINGS = 32; // of the sinc on each side

/** The modified Bessel function of order zero, for the Kaiser window. */
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/**
 * Converts a stream of samples from one rate to another.
 *
 * A polyphase filter: one row of coefficients for each position that an output sample can
 * have between two input samples. The filter is a sinc under a Kaiser window, whose stop
 * band begins at half of the lower rate: nothing is aliased, and no image is left.
 */
export class Resampler {
  /** @param {number} from @param {number} to - samples a second */
  constructor(from, to) {
    const inRate = Math.round(from);
    const outRate = Math.round(to);
    const divisor = greatestCommonDivisor(inRate, outRate);
    this.up = outRate / divisor;
    this.down = inRate / divisor;
    const ratio = Math.min(1, outRate / inRate);
    this.half = Math.ceil(ZERO_CROSSINGS / ratio);
    this.taps = 2 * this.half;
    this.rows = this.#design(ratio);
    this.reset();
  }

  #design(ratio) {
    const beta = 0.1102 * (ATTENUATION_DB - 8.7);
    const transition = (ATTENUATION_DB - 7.95) / (14.36 * (this.taps - 1));
    const cutoff = 0.5 * ratio - transition / 2; // in cycles a sample of the input
    const rows = [];
    for (let phase = 0; phase < this.up; phase++) {
      const row = new Float32Array(this.taps);
      let sum = 0;
      for (let tap = 0; tap < this.taps; tap++) {
        const distance = tap - this.half + 1 - phase / this.up;
        const angle = 2 * Math.PI * cutoff * distance;
        const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
        const edge = Math.max(0, 1 - (distance / this.half) ** 2);
        row[tap] = sinc * bessel(beta * Math.sqrt(edge));
        sum += row[tap];
      }
      // Each row has the same gain; otherwise the rows would modulate a constant.
      rows.push(row.map((value) => value / sum));
    }
    return rows;
  }

  /** Forgets the samples so far. */
  reset() {
    // Zeros before the first sample, so that the first output is centered on it.
    this.history = new Float32Array(this.half - 1);
    this.phase = 0;
  }

  /** @param {Float32Array} samples @returns {Float32Array} the output they determine */
  push(samples) {
    const input = new Float32Array(this.history.length + samples.length);
    input.set(this.history);
    input.set(samples, this.history.length);
    const room = Math.ceil((input.length * this.up) / this.down) + 1;
    const output = new Float32Array(room);
    let count = 0;
    let { phase } = this;
    let position = 0; // of the first sample under the filter
    while (position + this.taps <= input.length) {
      const row = this.rows[phase];
      let sum = 0;
      for (let tap = 0; tap < row.length; tap++) sum += row[tap] * input[position + tap];
      output[count++] = sum;
      phase += this.down;
      position += Math.floor(phase / this.up);
      phase %= this.up;
    }
    this.history = input.slice(position);
    this.phase = phase;
    return output.subarray(0, count);
  }
}

/**
 * Buffers the agent's audio and renders it at the rate of the device.
 *
 * Playback starts when the target is buffered, when the reply is complete, or when nothing
 * more has come for as long as the target. Each underrun raises the target.
 */
export class Playback {
  /**
   * @param {number} rate - samples a second of the device
   * @param {(position: {kind: string, reply: string | null, played: number, buffered: number})
   *   => void} report - receives milliseconds; kind: started, tick, next, drained or flushed
   */
  constructor(rate, report) {
    this.rate = rate;
    this.report = report;
    this.resampler = new Resampler(WIRE_RATE, rate);
    this.targetMs = TARGET_MS;
    this.reply = null; // whose audio was rendered last
    this.played = 0; // samples of that reply
    this.isPlaying = false;
    this.isComplete = false; // no more audio of this reply follows
    this.fadeOut = null; // the last samples after a flush, and how many are rendered
    this.starvedFrames = null; // since the buffer ran empty within a reply
    this.calmFrames = 0;
    this.#clear();
  }

  #clear() {
    this.queue = []; // {reply, samples}
    this.queued = 0;
    this.waitedFrames = 0;
    this.rendered = new Float32Array(0); // resampled, not yet rendered
    this.offset = 0;
    this.weight = 0; // samples of the wire in one rendered sample
    this.hasTail = false;
    this.resampler.reset();
  }

  get isEmpty() {
    return !this.isPlaying && this.queued === 0 && this.fadeOut === null;
  }

  #report(kind) {
    const { reply } = this;
    const played = Math.round((this.played / WIRE_RATE) * 1000);
    const waiting = (this.rendered.length - this.offset) * this.weight;
    const buffered = Math.round(((this.queued + waiting) / WIRE_RATE) * 1000);
    this.report({ kind, reply, played, buffered });
  }

  /** @param {string} reply @param {Int16Array} samples - at the rate of the wire */
  push(reply, samples) {
    const gap = reply === this.reply ? this.starvedFrames : null;
    if (gap !== null && gap < (JITTER_MS / 1000) * this.rate) {
      this.targetMs = Math.min(this.targetMs * 1.5, MAX_TARGET_MS);
      this.calmFrames = 0;
    }
    this.starvedFrames = null;
    this.isComplete = false;
    this.waitedFrames = 0;
    this.queue.push({ reply, samples });
    this.queued += samples.length;
  }

  /** Notes that a reply has no more audio, so that what is buffered plays at once. */
  end() {
    this.isComplete = true;
    this.starvedFrames = null;
  }

  /** Discards the buffer; 5 ms fade out, against a click. */
  flush() {
    if (this.isPlaying) {
      const frames = Math.round((FADE_MS / 1000) * this.rate);
      const samples = new Float32Array(frames);
      const count = this.#take(samples);
      for (let k = 0; k < count; k++) samples[k] *= 1 - (k + 1) / count;
      this.fadeOut = { samples: samples.subarray(0, count), offset: 0 };
    } else if (this.queued > 0 && this.reply !== this.queue[0].reply) {
      this.#nextReply(this.queue[0].reply); // of which nothing was heard
    }
    this.isPlaying = false;
    this.starvedFrames = null;
    this.#clear();
    if (this.fadeOut === null) this.#report("flushed");
  }

  /** Fills the output of one quantum. @param {Float32Array} output */
  render(output) {
    let filled = 0;
    if (this.fadeOut !== null) {
      const { samples, offset } = this.fadeOut;
      const part = samples.subarray(offset, offset + output.length);
      output.set(part);
      filled = part.length;
      this.fadeOut.offset += filled;
      if (this.fadeOut.offset >= samples.length) {
        this.fadeOut = null;
        this.#report("flushed");
      }
    }
    if (!this.isPlaying && this.#mayStart(output.length)) {
      this.isPlaying = true;
      if (this.reply !== this.queue[0].reply) this.#nextReply(this.queue[0].reply);
      this.#report("started");
    }
    if (this.isPlaying) {
      filled += this.#take(output.subarray(filled));
      this.#relax(output.length);
      if (filled < output.length) {
        this.isPlaying = false;
        this.starvedFrames = this.isComplete ? null : 0;
        this.#clear();
        this.#report("drained");
      }
    } else if (this.starvedFrames !== null) {
      this.starvedFrames += output.length;
    }
    output.fill(0, filled);
  }

  tick() {
    if (this.isPlaying) this.#report("tick");
  }

  #mayStart(frames) {
    if (this.queued === 0 || this.fadeOut !== null) return false;
    this.waitedFrames += frames;
    const target = this.targetMs / 1000;
    return (
      this.isComplete ||
      this.queued >= target * WIRE_RATE ||
      this.waitedFrames >= target * this.rate
    );
  }

  /** Lowers a raised target after a while without an underrun. */
  #relax(frames) {
    this.calmFrames += frames;
    if (this.calmFrames >= (CALM_MS / 1000) * this.rate) {
      this.calmFrames = 0;
      this.targetMs = Math.max(this.targetMs / 1.25, TARGET_MS);
    }
  }

  #nextReply(reply) {
    this.reply = reply;
    this.played = 0;
  }

  /** Copies rendered samples and returns their number: fewer if the buffer is empty. */
  #take(output) {
    let filled = 0;
    while (filled < output.length) {
      if (this.offset === this.rendered.length && !this.#renderSlice()) break;
      const part = this.rendered.subarray(this.offset, this.offset + output.length - filled);
      output.set(part, filled);
      filled += part.length;
      this.offset += part.length;
      this.played += part.length * this.weight;
    }
    return filled;
  }

  #renderSlice() {
    let samples;
    const first = this.queue[0];
    if (first !== undefined) {
      if (first.reply !== this.reply) {
        this.#report("next");
        this.#nextReply(first.reply);
      }
      const slice = first.samples.subarray(0, SLICE_SAMPLES);
      samples = Float32Array.from(slice, (value) => value / 32768);
      first.samples = first.samples.subarray(samples.length);
      if (first.samples.length === 0) this.queue.shift();
      this.queued -= samples.length;
    } else if (!this.hasTail) {
      // The filter still holds the last samples: zeros move them out.
      this.hasTail = true;
      samples = new Float32Array(this.resampler.half);
    } else {
      return false;
    }
    this.rendered = this.resampler.push(samples);
    this.offset = 0;
    const real = first === undefined ? 0 : samples.length;
    this.weight = this.rendered.length > 0 ? real / this.rendered.length : 0;
    if (this.rendered.length === 0) this.played += real;
    return true;
  }
}

function rootMeanSquare(samples) {
  return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
}

// Outside an audio thread only the classes above are of use.
if (globalThis.registerProcessor) {
  class CallProcessor extends AudioWorkletProcessor {
    constructor() {
      super();
      this.capture = new Resampler(sampleRate, WIRE_RATE);
      this.playback = new Playback(sampleRate, (report) =>
        this.port.postMessage({ type: "playback", ...report }),
      );
      this.frame = new Int16Array(FRAME_SAMPLES);
      this.filled = 0;
      this.levels = { input: 0, output: 0 };
      this.frames = 0;
      this.isDraining = false;
      this.port.onmessage = ({ data }) => this.#receive(data);
    }

    #receive({ type, reply, samples }) {
      if (type === "audio") this.playback.push(reply, samples);
      else if (type === "end") this.playback.end();
      else if (type === "flush") this.playback.flush();
      else if (type === "drain") this.isDraining = true;
    }

    process(inputs, outputs) {
      const input = inputs[0][0];
      const output = outputs[0][0];
      if (input !== undefined) this.#capture(input);
      this.playback.render(output);
      this.levels.output = Math.max(this.levels.output, rootMeanSquare(output));
      const before = this.frames;
      this.frames += output.length;
      const passed = (ms) => {
        const period = (ms / 1000) * sampleRate;
        return Math.floor(this.frames / period) > Math.floor(before / period);
      };
      if (passed(REPORT_MS)) this.playback.tick();
      if (this.isDraining) {
        this.playback.end();
        this.isDraining = !this.playback.isEmpty;
        if (!this.isDraining) this.port.postMessage({ type: "drained" });
      }
      if (passed(LEVEL_MS)) {
        this.port.postMessage({ type: "level", ...this.levels });
        this.levels = { input: 0, output: 0 };
      }
      return true; // until the context is closed
    }

    #capture(input) {
      this.levels.input = Math.max(this.levels.input, rootMeanSquare(input));
      for (const value of this.capture.push(input)) {
        this.frame[this.filled++] = Math.round(Math.max(-1, Math.min(1, value)) * 32767);
        if (this.filled === FRAME_SAMPLES) {
          const pcm = this.frame.slice().buffer;
          this.port.postMessage({ type: "frame", pcm }, [pcm]);
          this.filled = 0;
        }
      }
    }
  }

  registerProcessor("vagent-call", CallProcessor);
}
