// Where words are: in a window of a stream, or in a recording. As audioconv/audio/endpoints.py.

/** Return the number below which a percentage of `values` lies, between two of them in proportion. */
function percentile(values, percent) {
  const sorted = Float64Array.from(values).sort();
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** Return the level above which frames are loud, and the range from background to loudest frame, in dB. */
function thresholdOf(rule, levels) {
  const loudest = levels.reduce((a, b) => Math.max(a, b), -Infinity);
  const deepest = rule.deepest === null ? -Infinity : loudest - rule.deepest;
  const background = Math.max(percentile(levels, rule.background), deepest);
  const range = loudest - background;
  return [background + Math.max(rule.min_step, rule.share * range), range];
}

/** Return [begin, end) of each run of frames louder than a threshold; short pauses are inside a run. */
function soundsOf(rule, levels, threshold, frameSeconds) {
  const sounds = [];
  for (let begin = 0; begin < levels.length; begin += 1) {
    if (levels[begin] > threshold) {
      let end = begin;
      while (end < levels.length && levels[end] > threshold) {
        end += 1;
      }
      const last = sounds.at(-1);
      if (last && (begin - last[1]) * frameSeconds <= rule.pause_seconds) {
        last[1] = end;
      } else {
        sounds.push([begin, end]);
      }
      begin = end;
    }
  }
  return sounds;
}

/** Return the first row of what stands out most in a window of a stream, and the row behind its last. */
export function wordExtent(levels, rowSeconds, rules) {
  const rule = rules.window;
  const count = levels.length;
  const smooth = averaged(levels, rule.smoothed_rows);
  const [threshold, range] = thresholdOf(rule, smooth);
  if (range < rules.min_contrast) {
    return [0, count];
  }
  // Of several sounds, the one with most of its loudness above the threshold, and nearest to the middle.
  const weighted = smooth.map((level, row) => {
    const place = count > 1 ? -1 + (2 * row) / (count - 1) : -1;
    return Math.max(0, level - threshold) * (1.05 - Math.abs(place));
  });
  return greatest(soundsOf(rule, smooth, threshold, rowSeconds), ([begin, end]) => total(weighted, begin, end));
}

/** Return [begin, end) in seconds of each word of a recording of words alone; none where no word stands out. */
export function findWords(samples, sampleRate, rules) {
  const sounds = prominent(samples, rules);
  if (!sounds.length) {
    return [];
  }
  const seconds = samples.length / sampleRate;
  const within = ([begin, end]) => [Math.max(0, begin), Math.min(seconds, end)];
  const margins = 2 * rules.margin_seconds;
  const phrase = [sounds[0][0], sounds.at(-1)[1]];
  if (phrase[1] - phrase[0] - margins <= rules.max_seconds) {
    return [within(phrase)];
  }
  const phrases = [[...sounds[0]]];
  for (const sound of sounds.slice(1)) {
    const last = phrases.at(-1);
    if (sound[0] - last[1] + margins <= rules.phrase_pause_seconds) {
      last[1] = sound[1];
    } else {
      phrases.push([...sound]);
    }
  }
  const isShort = seconds <= rules.max_phrase_recording_seconds;
  const longest = isShort ? rules.max_phrase_seconds : rules.max_seconds;
  const words = phrases.filter(([begin, end]) => end - begin - margins <= longest);
  return words.length < rules.min_words_among_sounds * phrases.length ? [] : words.map(within);
}

/** Return the sounds that are long enough for a word and not far softer than the loudest, with margins. */
function prominent(samples, rules) {
  const rule = rules.recording;
  const levels = loudness(samples, rules);
  if (levels.length < rule.smoothed_frames) {
    return [];
  }
  const [threshold, range] = thresholdOf(rule, withoutPadding(levels, rules));
  if (range < rules.min_range) {
    return [];
  }
  const long = soundsOf(rule, levels, threshold, rules.frame_seconds).filter(
    ([begin, end]) => (end - begin) * rules.frame_seconds >= rules.min_seconds,
  );
  const power = levels.map((level) => 10 ** (level / 10));
  const energies = long.map(([begin, end]) => total(power, begin, end));
  const most = Math.max(...energies);
  return long
    .filter((_, number) => energies[number] >= rules.rival * most)
    .map(([begin, end]) => [
      begin * rules.frame_seconds - rules.margin_seconds,
      end * rules.frame_seconds + rules.margin_seconds,
    ]);
}

/** Return the levels without those of digital silence that pads a recording with steady noise. */
function withoutPadding(levels, rules) {
  const rest = levels.filter((level) => level > rules.digital_silence_db);
  if (!rest.length) {
    return levels;
  }
  const spread = percentile(rest, rules.steady_share) - percentile(rest, rules.recording.background);
  return spread < rules.steady_range ? rest : levels;
}

/** Return the power of the differences of neighbouring samples in each frame, averaged over three, in dB. */
function loudness(samples, rules) {
  const length = rules.frame_samples;
  const power = new Float64Array(Math.floor(samples.length / length));
  for (let frame = 0; frame < power.length; frame += 1) {
    let sum = 0;
    for (let place = frame * length; place < (frame + 1) * length; place += 1) {
      sum += (samples[place] - samples[Math.max(0, place - 1)]) ** 2;
    }
    power[frame] = sum / length;
  }
  const half = Math.floor(rules.recording.smoothed_frames / 2);
  return power.map((_, frame) => {
    const sum = total(power, Math.max(0, frame - half), Math.min(power.length, frame + half + 1));
    return 10 * Math.log10(sum / rules.recording.smoothed_frames + rules.min_power);
  });
}

/** Return running means over `width` rows, of which the first and last are repeated beyond the window. */
function averaged(levels, width) {
  const before = Math.floor(width / 2);
  const means = new Float64Array(levels.length);
  for (let row = 0; row < levels.length; row += 1) {
    for (let place = row - before; place < row - before + width; place += 1) {
      means[row] += levels[Math.min(Math.max(place, 0), levels.length - 1)] / width;
    }
  }
  return means;
}

function total(values, begin, end) {
  let sum = 0;
  for (let place = begin; place < end; place += 1) {
    sum += values[place];
  }
  return sum;
}

/** Return the first of `values` with the greatest `score`. */
export function greatest(values, score) {
  let best = values[0];
  for (const value of values.slice(1)) {
    best = score(value) > score(best) ? value : best;
  }
  return best;
}
