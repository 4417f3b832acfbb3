// The doors that `headgate serve` and `headgate proxy` do not leave open by mistake.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { certificateFiles, createAuthority } from "../harness/certificates.js";
import { headgate } from "../harness/command.js";
import { runHeadgate } from "../harness/headgate.js";
import { testScope } from "../harness/scope.js";
import { eventually } from "../harness/waiting.js";
import { createIssuer } from "../identity/support/issuer.js";

const scope = testScope();
let files: { cert: string; key: string; ca: string; keys: string; policies: string; other: string };

beforeAll(async () => {
  const authority = await createAuthority("test");
  const own = await certificateFiles(scope, await authority.issue(["localhost"]));
  const other = await certificateFiles(scope, await authority.issue(["localhost"]));
  const directory = await scope.directory();
  const [ca, keys, policies] = ["ca.pem", "jwks.json", "policies"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  await Promise.all([
    writeFile(ca, authority.certificate),
    writeFile(keys, (await createIssuer()).keys),
    mkdir(policies),
  ]);
  files = { cert: own.certificate, key: own.privateKey, ca, keys, policies, other: other.privateKey };
});

const serveArgs = (...args: string[]) => [
  ...["serve", "--config", files.policies, "--ads", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
  ...args,
];

test("Serve refuses flags that would leave a door open, and says which to give", async () => {
  const remote = ["--ads", "0.0.0.0:0"];
  const tls = ["--ads-cert", files.cert, "--ads-key", files.key];
  const cases = [
    [remote, "give --ads-cert and --ads-key"],
    [[...remote, ...tls], "give --ads-client-ca or --ads-tokens"],
    [[...remote, "--ads-tokens", files.keys], "give --ads-cert and --ads-key"],
    [["--admin", "0.0.0.0:0"], "give --admin-remote"],
    [["--ads-cert", files.cert], "--ads-cert and --ads-key belong together"],
    [["--ads-client-ca", files.ca], "--ads-client-ca needs --ads-cert and --ads-key, or on a cluster --ads-service"],
    [["--ads-cert", files.cert, "--ads-key", files.other], "is not the key of the first certificate"],
    [["--ads-cert", files.cert, "--ads-key", files.cert], "is no private key in PEM form"],
    [["--ads-cert", files.keys, "--ads-key", files.key], "has no certificate in PEM form"],
    [[...tls, "--ads-client-ca", files.key], "has no certificates in PEM form"],
    [["--ads-tokens", files.cert], "no JSON Web Key Set"],
    [["--ads-tokens", "/nowhere"], "ENOENT"],
    [["--trust-domain", "Not A Domain"], "--trust-domain"],
  ] as const;
  for (const [args, words] of cases) {
    const told = await headgate(...serveArgs(...args));
    expect([told.code, told.stdout, told.stderr], args.join(" ")).toEqual([64, "", expect.stringContaining(words)]);
  }
}, 120_000);

test("With all that it takes, both addresses may be reached from other machines, which is warned of", async () => {
  const tls = ["--ads-cert", files.cert, "--ads-key", files.key, "--ads-client-ca", files.ca];
  const run = runHeadgate(scope, serveArgs("--ads", "0.0.0.0:0", "--admin", "0.0.0.0:0", "--admin-remote", ...tls));
  await eventually("it serves", () => /^\{"ads":"0\.0\.0\.0:\d+","admin":"0\.0\.0\.0:\d+"\}$/m.test(run.stdout()));
  expect(run.stderr()).toContain("warning: the admin at 0.0.0.0:0 tells everybody who can reach it about the mesh");
  run.child.kill("SIGTERM");
  expect(await run.exited).toMatchObject({ code: 0 });
});

test("A proxy refuses credentials that do not belong together, or would be sent in the clear", async () => {
  const proxy = (...args: string[]) => headgate("proxy", "--ip", "127.0.0.1", ...args);
  const cases = [
    [["--ads-cert", files.cert], "--ads-cert and --ads-key belong together"],
    [["--ads-cert", files.cert, "--ads-key", files.key], "--ads-cert needs --ads-ca"],
    [["--ads-server-name", "x"], "--ads-server-name needs --ads-ca"],
    [["--ads", "192.0.2.1:1", "--ads-token-file", files.key], "would be sent to 192.0.2.1 in the clear"],
  ] as const;
  for (const [args, words] of cases) {
    const told = await proxy(...args);
    expect([told.code, told.stderr], args.join(" ")).toEqual([64, expect.stringContaining(words)]);
  }
  const token = ["--ads-ca", files.ca, "--ads-token-file", "/nowhere"];
  const missing = await proxy(...token);
  expect([missing.code, missing.stderr]).toEqual([69, expect.stringContaining("ENOENT")]);
});

test("A bootstrap that is printed names the files, and has nothing of what is in them", async () => {
  const credentials = ["--ads-ca", files.ca, "--ads-cert", files.cert, "--ads-key", files.key];
  const args = ["--ip", "127.0.0.1", "--ads-token-file", files.keys, ...credentials, "--print-bootstrap"];
  const { stdout } = await headgate("proxy", "--ads", "control.example.org:15012", ...args);
  const bootstrap = JSON.parse(stdout);
  expect(bootstrap.static_resources.secrets.map(({ name }: { name: string }) => name)).toEqual([
    "headgate-ads-ca",
    "headgate-ads-certificate",
    "headgate-ads-token",
  ]);
  expect(stdout).toContain('"exact": "control.example.org"');
  expect(stdout).not.toMatch(/BEGIN|"kty"/);
});
