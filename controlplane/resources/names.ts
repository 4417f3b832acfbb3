// The rules for Kubernetes names, labels, and the references between objects that are made of them.
import type { Fault } from "./report.js";

const LABEL_CHARACTERS = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
const DNS_LABEL = new RegExp(`^${LABEL_CHARACTERS}$`);
const DNS_SUBDOMAIN = new RegExp(`^${LABEL_CHARACTERS}(?:\\.${LABEL_CHARACTERS})*$`);
const QUALIFIED_PART = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** An RFC 1123 label: at most 63 of a-z, 0-9 and "-", beginning and ending with a letter or digit. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && DNS_LABEL.test(text);
}

/** An RFC 1123 subdomain: labels with dots between, at most 253 characters. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && DNS_SUBDOMAIN.test(text);
}

/** The start of a value, quoted, for a message that must stay short whatever the user wrote. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

/** What is wrong with the name of a namespace, subset or port. */
export function checkDnsLabel(text: string): Fault | undefined {
  return isDnsLabel(text)
    ? undefined
    : invalid(`${quote(text)} is no valid name: at most 63 of a-z, 0-9 and "-", with a letter or digit at both ends.`);
}

/** What is wrong with the name of an object. */
export function checkObjectName(text: string): Fault | undefined {
  return isDnsSubdomain(text)
    ? undefined
    : invalid(
        `${quote(text)} is no valid name: at most 253 of a-z, 0-9, "-" and ".", with a letter or digit at both ends.`,
      );
}

/** What is wrong with a label's key: an optional DNS prefix and "/", then at most 63 characters. */
export function checkLabelKey(key: string): Fault | undefined {
  const slash = key.indexOf("/");
  const name = key.slice(slash + 1);
  const prefixIsValid = slash === -1 || isDnsSubdomain(key.slice(0, slash));
  return prefixIsValid && name.length <= 63 && QUALIFIED_PART.test(name)
    ? undefined
    : invalid(`${quote(key)} is no valid label key.`);
}

/** What is wrong with a label's value. */
export function checkLabelValue(value: string): Fault | undefined {
  return value === "" || (value.length <= 63 && QUALIFIED_PART.test(value))
    ? undefined
    : invalid(`${quote(value)} is no valid label value: at most 63 letters, digits, "-", "_" and ".".`);
}

/** What is wrong with an entry of exportTo. */
export function checkExportTo(text: string): Fault | undefined {
  return text === "." || text === "*" || text === "~" || isDnsLabel(text)
    ? undefined
    : invalid(
        `${quote(text)} is no namespace; use a namespace's name, "." for the object's own, "*" for all or "~" for none.`,
      );
}

/** What is wrong with a VirtualService's reference to a gateway: mesh, NAME, NAMESPACE/NAME or the legacy dotted form. */
export function checkGatewayReference(text: string): Fault | undefined {
  const parts = text.split("/");
  const valid = parts.length === 2 ? parts.every(isDnsLabel) : parts.length === 1 && isDnsSubdomain(text);
  return valid
    ? undefined
    : invalid(`${quote(text)} is no gateway; write its name, NAMESPACE/NAME, or "mesh" for all sidecars.`);
}

function invalid(message: string): Fault {
  return { code: "invalid-name", message };
}
