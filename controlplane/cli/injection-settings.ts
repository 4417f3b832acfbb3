// The flags that say which sidecar pods get, which `headgate serve` and `headgate inject` have under names of their own.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { adsFault, type InjectionSettings } from "../injection/sidecar.js";
import type { OptionValues } from "./command.js";
import { type Read, readHostPort } from "./flag-values.js";

/** `prefix` is how the names of the flags begin, for what is said of them. Reads the file of the authority. */
export function readInjectionSettings(
  prefix: string,
  { image, ads, adsCa, audience }: OptionValues,
  cwd: string,
): Read<InjectionSettings> {
  const address = readHostPort(`${prefix}ads`, String(ads));
  if ("error" in address) return address;
  const fault = adsFault(String(ads));
  if (fault !== undefined) return { error: `${prefix}ads ${fault}` };
  const settings = { image: String(image), ads: String(ads), audience: String(audience) };
  if (typeof adsCa !== "string") return { value: settings };
  try {
    return { value: { ...settings, adsCa: readFileSync(resolve(cwd, adsCa), "utf8") } };
  } catch (error) {
    return { error: `${prefix}ads-ca ${adsCa} cannot be read (${(error as NodeJS.ErrnoException).code})` };
  }
}
