// An explanation as a person reads it.
import type { Explained, FaultOdds } from "../explain/explain.js";
import type { PassedExtension } from "../explain/passed-extensions.js";

export function explainedText(explained: Explained): string {
  const lines = [
    `host         ${explained.host}`,
    `path         ${explained.path}${explained.redirectedToPath ? " (after a redirect to it)" : ""}`,
    `rule         ${ruleText(explained)}`,
    `route        ${explained.route}`,
    ...outcomeLines(explained),
    ...(explained.fault ? [`fault        ${faultText(explained.fault)}`] : []),
    ...extensionLines(explained.extensions),
    ...(explained.rejected.length > 0 ? ["", "Earlier alternatives that did not match:"] : []),
    ...explained.rejected.map(
      ({ virtualService, index, match, because }) => `  ${virtualService} http[${index}].match[${match}]: ${because}`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function extensionLines(extensions: readonly PassedExtension[]): string[] {
  if (extensions.length === 0) return [];
  return [
    "",
    "Extensions that the request passes through, in order, and that are not run here:",
    ...extensions.map(({ kind, namespace, name, phase, priority, place, url }) => {
      const phaseText = phase === "UNSPECIFIED" ? "no phase" : `phase ${phase}`;
      const runs = url === null ? "a script" : url;
      return `  ${place} the decision  ${kind} ${namespace}/${name} (${phaseText}, priority ${priority}): ${runs}`;
    }),
  ];
}

function ruleText({ rule, destinations }: Explained): string {
  if (!rule) return destinations.length > 0 ? "none: no VirtualService speaks of the host" : "none matched";
  const name = rule.http === null ? "" : ` (${rule.http})`;
  const match = rule.match === null ? "" : `, match[${rule.match}]`;
  return `${rule.kind} ${rule.namespace}/${rule.name} http[${rule.index}]${name}${match}`;
}

function outcomeLines({ redirect, directResponse, destinations, chosen, sticky, pinned }: Explained): string[] {
  if (redirect) return [`redirect     ${redirect.redirectCode} ${JSON.stringify(redirect)}`];
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  const shares = destinations.map(({ cluster, weight }) => {
    const share = total > 0 ? ` ${((100 * weight) / total).toFixed(2).replace(/\.?0+$/, "")} %` : "";
    return `destination  ${cluster}${share}${cluster === chosen ? "  <- chosen" : ""}`;
  });
  return [
    ...shares,
    ...(directResponse ? [`response     ${directResponse.status} ${directResponse.body.trim()}`.trimEnd()] : []),
    ...(pinned === null ? [] : [`pinned by    ${pinned}`]),
    ...(sticky === null || pinned !== null ? [] : [`sticky by    ${sticky}`]),
  ];
}

function faultText(fault: FaultOdds): string {
  const parts: string[] = [];
  if (fault.delayMs !== null) parts.push(`${fault.delayPercentage} % delayed by ${fault.delayMs} ms`);
  if (fault.abortGrpcStatus !== null)
    parts.push(`${fault.abortPercentage} % aborted with gRPC status ${fault.abortGrpcStatus}`);
  else if (fault.abortStatus !== null) parts.push(`${fault.abortPercentage} % aborted with ${fault.abortStatus}`);
  return parts.join(", ") + (fault.perTry ? "; drawn for every try" : "");
}
