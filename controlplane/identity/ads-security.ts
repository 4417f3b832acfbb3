// What the ADS server needs to know its clients, kept true to the files that it comes from.
import { readFile } from "node:fs/promises";
import type { AdsTls } from "../xds/credentials.js";
import type { Ways } from "./authenticate.js";
import { type Followed, followFiles, type Read } from "./followed-files.js";
import type { IssuedTls } from "./issued-tls.js";
import { readClientCa, readTlsFiles, type TlsFiles, type TlsMaterial } from "./tls-files.js";
import { createTokenVerifier, type TokenVerifier } from "./token.js";

export interface AdsSecurityOptions {
  readonly trustDomain: string;
  readonly tls?: TlsFiles;
  /** In place of files, but for the authority of clients; closed with what is made of it. */
  readonly issued?: IssuedTls;
  /** The path of the authority of clients, beside a certificate that is issued. */
  readonly issuedClientCa?: string;
  /** The path of a JSON Web Key Set, and what tokens must be meant for. */
  readonly tokens?: { readonly keys: string; readonly audience: string };
  /** Knows tokens in place of the key set. */
  readonly tokenReview?: TokenVerifier;
  /** A file was read again, or cannot be; nothing secret. */
  readonly onNotice?: (notice: string) => void;
  /** See FollowOptions. */
  readonly pollMs?: number;
}

export interface AdsSecurity {
  readonly ways: Ways;
  /** Undefined for plaintext. */
  readonly tls: TlsMaterial | undefined;
  /** Calls back with what new connections are to be served with from now on. */
  onTls(listener: (tls: AdsTls) => void): void;
  close(): void;
}

/** Gives an error when a file cannot be used. Later such files are told of, and the last good ones stay in force. */
export async function createAdsSecurity(options: AdsSecurityOptions): Promise<Read<AdsSecurity>> {
  const { trustDomain, issued, tokenReview, onNotice = () => {}, pollMs = 1_000 } = options;
  let listener: (tls: AdsTls) => void = () => {};
  const { issuedClientCa } = options;
  const isOptional = (options.tokens ?? tokenReview) !== undefined;
  const tls = options.tls && (await followTls(options.tls));
  if (tls && "error" in tls) return tls;
  const followed = issuedClientCa === undefined ? undefined : await followClientCa(issuedClientCa);
  if (followed && "error" in followed) return followed;
  const clientCa = followed?.value;
  const tokens = options.tokens && (await followKeys(options.tokens));
  if (tokens && "error" in tokens) {
    tls?.value.close();
    clientCa?.close();
    return tokens;
  }

  issued?.onRenewed((material) => {
    listener(ofIssued(material));
    onNotice(`made a new certificate: ${expiryText(material)}`);
  });

  function ofIssued(material: TlsMaterial): TlsMaterial {
    return clientCa ? asked({ ...material, clientCa: clientCa.current }) : material;
  }

  /** A proxy may show a token in place of a certificate, where tokens are known. */
  function asked(material: TlsMaterial): TlsMaterial {
    return isOptional ? { ...material, clientCertificateIsOptional: true } : material;
  }

  function followTls(files: TlsFiles): Promise<Read<Followed<TlsMaterial>>> {
    const paths = [files.certificate, files.key, ...(files.clientCa === undefined ? [] : [files.clientCa])];
    return followFiles(paths, {
      pollMs,
      read: async () => {
        const read = await readTlsFiles(files);
        return "error" in read ? read : { value: asked(read.value) };
      },
      onValue: (material) => {
        listener(material);
        onNotice(`read ${files.certificate} again: ${expiryText(material)}`);
      },
      onError: (error) => onNotice(`${error}; the certificate read before stays in force`),
    });
  }

  function followClientCa(path: string): Promise<Read<Followed<Buffer>>> {
    return followFiles([path], {
      pollMs,
      read: () => readClientCa(path),
      onValue: () => {
        if (issued) listener(ofIssued(issued.current));
        onNotice(`read ${path} again`);
      },
      onError: (error) => onNotice(`${error}; the authority read before stays in force`),
    });
  }

  function followKeys({ keys, audience }: { keys: string; audience: string }): Promise<Read<Followed<TokenVerifier>>> {
    return followFiles([keys], {
      pollMs,
      read: async () => {
        const read = createTokenVerifier(await readFile(keys, "utf8"), audience, trustDomain);
        return "error" in read ? { error: `${keys}: ${read.error}` } : read;
      },
      onValue: () => onNotice(`read ${keys} again`),
      onError: (error) => onNotice(`${error}; the keys read before stay in force`),
    });
  }

  return {
    value: {
      ways: {
        trustDomain,
        certificates: (options.tls?.clientCa ?? issuedClientCa) !== undefined,
        ...(tokenReview ? { tokens: () => tokenReview } : {}),
        ...(tokens ? { tokens: () => tokens.value.current } : {}),
      },
      get tls() {
        return issued ? ofIssued(issued.current) : tls?.value.current;
      },
      onTls(next) {
        listener = next;
      },
      close() {
        issued?.close();
        tls?.value.close();
        clientCa?.close();
        tokens?.value.close();
      },
    },
  };
}

function expiryText({ expiresAt }: TlsMaterial): string {
  return `it expires at ${new Date(expiresAt).toISOString()}`;
}
