// Checks a policy image's regular expressions: no automaton leads out of its table.
import { isReference, isRun } from "./check-references";
import { section, sectionCount } from "./image";
import * as tags from "./tags";

export function checkRegexes(image: usize): bool {
  const regexes = section(image, tags.SECTION_REGEXES);
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_REGEXES); i < count; i++) {
    const regex = regexes + i * tags.REGEX_STRIDE;
    if (
      !isReference(image, tags.SECTION_KEYS, load<i32>(regex, tags.REGEX_PREFIX_KEY)) ||
      load<u32>(regex, tags.REGEX_DFA) >= sectionCount(image, tags.SECTION_DFAS) ||
      !isRun(image, tags.SECTION_BYTES, load<u32>(regex, tags.REGEX_SUFFIX), load<u32>(regex, tags.REGEX_SUFFIX_LENGTH))
    )
      return false;
  }
  let transitions: u64 = 0;
  for (let i: u32 = 0, count = sectionCount(image, tags.SECTION_DFAS); i < count; i++) {
    const dfa = section(image, tags.SECTION_DFAS) + i * tags.DFA_STRIDE;
    if (load<u32>(dfa, tags.DFA_TRANSITIONS) !== transitions || !isDfa(image, dfa)) return false;
    transitions += <u64>load<u32>(dfa, tags.DFA_CLASS_COUNT) * load<u32>(dfa, tags.DFA_STATE_COUNT);
  }
  return true;
}

function isDfa(image: usize, dfa: usize): bool {
  const classes = load<u32>(dfa, tags.DFA_CLASSES);
  const classCount = load<u32>(dfa, tags.DFA_CLASS_COUNT);
  const stateCount = load<u32>(dfa, tags.DFA_STATE_COUNT);
  const first = load<u32>(dfa, tags.DFA_TRANSITIONS);
  if (
    classCount - 1 > 255 ||
    stateCount - 1 > 0xffff ||
    load<u32>(dfa, tags.DFA_START) >= stateCount ||
    !isRun(image, tags.SECTION_BYTES, classes, 256) ||
    !isRun(image, tags.SECTION_TRANSITIONS, first, classCount * stateCount)
  )
    return false;
  const classMap = section(image, tags.SECTION_BYTES) + classes;
  for (let byte: usize = 0; byte < 256; byte++) if (load<u8>(classMap + byte) >= classCount) return false;
  const transitions = section(image, tags.SECTION_TRANSITIONS) + first * tags.TRANSITION_STRIDE;
  for (let i: u32 = 0, count = classCount * stateCount; i < count; i++)
    if (load<u16>(transitions + i * tags.TRANSITION_STRIDE) >= stateCount) return false;
  return true;
}
