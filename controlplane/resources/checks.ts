// The named checks of single values that schemas refer to, one line each; the rules themselves stand with their subject.
import { checkDuration, parseDuration } from "./duration.js";
import {
  checkBind,
  checkDefaultEndpoint,
  checkDestinationHost,
  checkFqdn,
  checkHost,
  checkHostOrAddress,
  checkLocality,
  checkNamespacedHost,
  checkSubnet,
} from "./hosts.js";
import {
  checkHeaderName,
  checkHeaderToMatch,
  checkHeaderToRemoveOrRespond,
  checkHeaderToRequest,
  checkHeaderValue,
  checkMethod,
  checkRetryOn,
} from "./http-words.js";
import { checkModuleUrl } from "./module-source.js";
import {
  checkDnsLabel,
  checkExportTo,
  checkGatewayReference,
  checkLabelKey,
  checkLabelValue,
  checkObjectName,
} from "./names.js";
import { checkCipherSuite, checkPortProtocol, checkServerProtocol } from "./protocols.js";
import { checkRegex } from "./regex-syntax.js";
import type { Fault } from "./report.js";

const TEXT_CHECKS = {
  notEmpty: (value: string) => (value === "" ? fault("invalid-value", "The value is empty.") : undefined),
  duration: (value: string) => checkDuration(value, 1),
  durationOrZero: (value: string) => checkDuration(value, 0),
  wholeSeconds: checkWholeSeconds,
  regex: checkRegex,
  regexOrStar: (value: string) => (value === "*" ? undefined : checkRegex(value)),
  fqdn: checkFqdn,
  host: checkHost,
  hostOrAddress: checkHostOrAddress,
  destinationHost: checkDestinationHost,
  namespacedHost: (value: string) => checkNamespacedHost(value, false),
  namespacedHostOrHost: (value: string) => checkNamespacedHost(value, true),
  bind: checkBind,
  defaultEndpoint: checkDefaultEndpoint,
  locality: checkLocality,
  subnet: checkSubnet,
  objectName: checkObjectName,
  dnsLabel: checkDnsLabel,
  labelKey: checkLabelKey,
  labelValue: checkLabelValue,
  exportTo: checkExportTo,
  gatewayReference: checkGatewayReference,
  headerName: checkHeaderName,
  headerToMatch: checkHeaderToMatch,
  headerToRequest: checkHeaderToRequest,
  headerToRemoveOrRespond: checkHeaderToRemoveOrRespond,
  headerValue: checkHeaderValue,
  method: checkMethod,
  retryOn: checkRetryOn,
  serverProtocol: checkServerProtocol,
  portProtocol: checkPortProtocol,
  cipherSuite: checkCipherSuite,
  timestamp: checkTimestamp,
  moduleUrl: checkModuleUrl,
  sha256: checkSha256,
  environmentVariable: checkVariable,
} satisfies Record<string, (value: string) => Fault | undefined>;

const NUMBER_CHECKS = {
  port: (value: number) =>
    value >= 1 && value <= 65_535 ? undefined : fault("invalid-port", `${value} is no port; ports are 1 to 65535.`),
  percentage: (value: number) =>
    value >= 0 && value <= 100
      ? undefined
      : fault("invalid-percentage", `${value} is no percentage; it must be between 0 and 100.`),
  weight: (value: number) =>
    value >= 0 && value <= 2_147_483_647
      ? undefined
      : fault("invalid-weight", `${value} is no weight; it must be between 0 and 2147483647.`),
  aggression: (value: number) =>
    value >= 1 ? undefined : fault("invalid-value", `${value} is too low; the least aggression is 1.`),
} satisfies Record<string, (value: number) => Fault | undefined>;

export type CheckName = keyof typeof TEXT_CHECKS | keyof typeof NUMBER_CHECKS;

/** Runs the named check on a value of the type that the schema asked for. */
export function runCheck(name: CheckName, value: string | number): Fault | undefined {
  if (typeof value === "string")
    return (TEXT_CHECKS as Record<string, (value: string) => Fault | undefined>)[name]?.(value);
  return (NUMBER_CHECKS as Record<string, (value: number) => Fault | undefined>)[name]?.(value);
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

function checkTimestamp(value: string): Fault | undefined {
  return RFC_3339.test(value) && !Number.isNaN(Date.parse(value))
    ? undefined
    : fault("invalid-value", `"${value}" is no time; write it as in 2030-01-31T12:00:00Z.`);
}

function checkWholeSeconds(value: string): Fault | undefined {
  const found = checkDuration(value, 0);
  if (found !== undefined) return found;
  const parsed = parseDuration(value) ?? 0;
  return parsed % 1_000 === 0
    ? undefined
    : fault("invalid-duration", `The duration ${value} is finer than a second, which this field cannot express.`);
}

function checkSha256(value: string): Fault | undefined {
  return value === "" || /^[0-9a-f]{64}$/.test(value)
    ? undefined
    : fault("invalid-value", "The checksum is not written in 64 hexadecimal digits, in lower case.");
}

function checkVariable(value: string): Fault | undefined {
  return /^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(value)
    ? undefined
    : fault(
        "invalid-name",
        "An environment variable's name has letters, digits and _ alone, and begins with no digit.",
      );
}

function fault(code: Fault["code"], message: string): Fault {
  return { code, message };
}
