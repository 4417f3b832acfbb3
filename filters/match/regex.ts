// Regular expressions: a literal prefix, an automaton, a literal suffix; time follows the value's length.
import { record, section } from "../policy/image";
import * as tags from "../policy/tags";
import { VALUE_LENGTH, VALUE_POINTER } from "../policy/work";
import { hasPrefix } from "./keys";

/** Whether the whole value matches. */
export function matchesRegex(image: usize, value: usize, index: u32): bool {
  const regex = record(image, tags.SECTION_REGEXES, index, tags.REGEX_STRIDE);
  const prefix = load<i32>(regex, tags.REGEX_PREFIX_KEY);
  if (prefix !== tags.NONE && !hasPrefix(image, value, prefix)) return false;
  const text = load<usize>(value, VALUE_POINTER);
  const length = load<usize>(value, VALUE_LENGTH);
  const prefixLength = load<usize>(regex, tags.REGEX_PREFIX_LENGTH);
  const suffixLength = load<usize>(regex, tags.REGEX_SUFFIX_LENGTH);
  if (length < prefixLength || length - prefixLength < suffixLength) return false;
  const end = text + length - suffixLength;
  const suffix = section(image, tags.SECTION_BYTES) + load<u32>(regex, tags.REGEX_SUFFIX);
  if (memory.compare(suffix, end, suffixLength) !== 0) return false;
  return accepts(image, load<u32>(regex, tags.REGEX_DFA), text + prefixLength, end);
}

function accepts(image: usize, index: u32, start: usize, end: usize): bool {
  const dfa = record(image, tags.SECTION_DFAS, index, tags.DFA_STRIDE);
  const classes = section(image, tags.SECTION_BYTES) + load<u32>(dfa, tags.DFA_CLASSES);
  const classCount = load<u32>(dfa, tags.DFA_CLASS_COUNT);
  const transitions = record(
    image,
    tags.SECTION_TRANSITIONS,
    load<u32>(dfa, tags.DFA_TRANSITIONS),
    tags.TRANSITION_STRIDE,
  );
  let state = load<u32>(dfa, tags.DFA_START);
  for (let at = start; at < end && state !== 0; at++) {
    const target = state * classCount + load<u8>(classes + load<u8>(at));
    state = load<u16>(transitions + target * tags.TRANSITION_STRIDE);
  }
  return state >= load<u32>(dfa, tags.DFA_ACCEPT_FROM);
}
