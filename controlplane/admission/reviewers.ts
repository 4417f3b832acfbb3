// What is said of a review at each path: whether an object may be written, and what a pod is given.
import { inject } from "../injection/inject.js";
import type { InjectionSettings, Pod } from "../injection/sidecar.js";
import type { Reader } from "../sources/reader.js";
import { objectToCheck, reviewAnswer, reviewOf } from "./review.js";
import type { Reviewer } from "./server.js";

/** Refuses what `headgate validate` refuses. Objects are decoded by the reader, away from the control plane's thread. */
export function validationReviewer(reader: Reader): Reviewer {
  return async (request) => {
    const object = objectToCheck(request);
    if (object === undefined) return reviewAnswer(request.uid, []);
    const known = new Map<string, string>();
    const reading = { path: "", defaultNamespace: request.namespace, known, objects: [object] };
    const outcome = await reader.read(reading);
    const violations =
      "violation" in outcome ? [outcome.violation] : outcome.reading.objects.flatMap((read) => read.violations);
    return reviewAnswer(request.uid, violations);
  };
}

/** Gives a pod its sidecar. Which pods are asked about is said by the MutatingWebhookConfiguration. */
export function injectionReviewer(settings: InjectionSettings): Reviewer {
  return ({ uid, object }) => {
    if (object?.kind !== "Pod") return reviewOf({ uid, allowed: true });
    const { patch, warnings, error } = inject(object as Pod, settings);
    return reviewOf({
      uid,
      allowed: error === undefined,
      ...(error === undefined ? {} : { status: { code: 400, reason: "BadRequest", message: error.message } }),
      ...(warnings.length === 0 ? {} : { warnings: warnings.map(({ message }) => message) }),
      ...(patch.length === 0
        ? {}
        : { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") }),
    });
  };
}
