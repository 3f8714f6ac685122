"use strict";
(() => {
  const call = JSON.parse(document.getElementById("call").textContent);
  const find = (id) => document.getElementById(id);
  const each = (selector, root = document) => [...root.querySelectorAll(selector)];
  const typing = (node) => node.closest("input, select, textarea");

  const clock = (seconds) => {
    const tenths = Math.round(Math.max(0, seconds) * 10);
    const minutes = Math.floor(tenths / 600);
    const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
    if (minutes < 60) return `${minutes}:${rest}`;
    return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
  };

  if (call.audio) startPlayer();
  startFilter();
  document.documentElement.dataset.ready = "yes";

  function startPlayer() {
    const audio = find("audio"), track = find("track"), scroll = find("scroll");
    const play = find("play"), head = find("head"), played = find("played");
    const items = call.turns.map((_, index) => find(`turn-${index}`));
    const words = items.map((item) => each("span[data-from]", item));
    audio.controls = false;
    find("controls").hidden = false;
    track.classList.add("seeks");
    track.tabIndex = 0;
    track.setAttribute("role", "slider");
    track.setAttribute("aria-label", "Position in the call");
    track.setAttribute("aria-valuemin", "0");
    track.setAttribute("aria-valuemax", String(Math.round(call.seconds)));

    const seek = (at) => {
      audio.currentTime = Math.min(Math.max(0, at), call.seconds);
      show();
    };
    const showFailure = (error) => {
      if (error.name === "AbortError") return; // paused before it began
      find("note").textContent = `This browser cannot play the audio: ${error.message}`;
    };
    const toggle = () => {
      if (audio.paused) audio.play().catch(showFailure);
      else audio.pause();
    };

    function show() {
      const at = audio.currentTime;
      const share = `${Math.min(100, (100 * at) / call.seconds)}%`;
      head.setAttribute("x1", share);
      head.setAttribute("x2", share);
      played.setAttribute("width", share);
      find("now").textContent = clock(at);
      track.setAttribute("aria-valuenow", String(Math.round(at)));
      track.setAttribute("aria-valuetext", clock(at));
      call.turns.forEach(([from, to], index) => {
        const isNow = at >= from && at < to;
        if (isNow === items[index].hasAttribute("aria-current")) {
          if (!isNow) return;
        } else if (isNow) {
          items[index].setAttribute("aria-current", "true");
        } else {
          items[index].removeAttribute("aria-current");
        }
        for (const word of words[index]) {
          const { from: start, to: end } = word.dataset;
          word.classList.toggle("now", isNow && at >= start && at < end);
        }
      });
    }

    function follow() {
      show();
      const at = (audio.currentTime / call.seconds) * scroll.scrollWidth;
      const { scrollLeft: left, clientWidth: width } = scroll;
      if (at < left || at > left + 0.9 * width) scroll.scrollLeft = at - 0.1 * width;
      if (!audio.paused) requestAnimationFrame(follow);
    }

    const label = () => {
      play.classList.toggle("on", !audio.paused);
      play.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
    };
    audio.addEventListener("play", () => { label(); follow(); });
    audio.addEventListener("pause", () => { label(); show(); });
    audio.addEventListener("seeked", show);
    play.addEventListener("click", toggle);
    find("speed").addEventListener("change", (event) => {
      audio.playbackRate = Number(event.target.value);
    });
    find("zoom").addEventListener("change", (event) => {
      const zoom = Number(event.target.value);
      track.style.width = `${100 * zoom}%`;
      // Finer marks of the time, as soon as there is room for them.
      track.classList.toggle("close", zoom * scroll.clientWidth > call.fineWidth);
      follow();
    });
    track.addEventListener("click", (event) => {
      const place = find("wave").getBoundingClientRect();
      seek(((event.clientX - place.left) / place.width) * call.seconds);
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a[data-at]");
      const word = event.target.closest("span[data-from]");
      if (!link && !word) return;
      event.preventDefault();
      if (link && link.hash.startsWith("#turn-")) history.replaceState(null, "", link.hash);
      seek(Number(link ? link.dataset.at : word.dataset.from));
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
      const at = audio.currentTime;
      const starts = call.turns.map(([from]) => from);
      const moves = {
        ArrowLeft: () => seek(at - 2),
        ArrowRight: () => seek(at + 2),
        j: () => seek(starts.find((start) => start > at + 0.05) ?? at),
        k: () => seek(starts.findLast((start) => start < at - 0.5) ?? 0),
      };
      if (event.key === " " && !event.target.closest("button, summary")) toggle();
      else if (event.key in moves) moves[event.key]();
      else return;
      event.preventDefault();
    });
    const linked = call.turns[location.hash.replace("#turn-", "")];
    seek(linked ? linked[0] : 0);
  }

  function startFilter() {
    const form = find("filter"), field = find("words"), count = find("count");
    const items = each(".wire li");
    const texts = items.map((item) => item.textContent.toLowerCase());
    form.hidden = false;
    const apply = () => {
      const kinds = each("input:checked", form).map((box) => box.value);
      const wanted = field.value.trim().toLowerCase();
      let shown = 0;
      items.forEach((item, index) => {
        item.hidden = !kinds.includes(item.dataset.kind) || !texts[index].includes(wanted);
        shown += !item.hidden;
      });
      count.textContent = `${shown} of ${items.length}`;
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }
})();
