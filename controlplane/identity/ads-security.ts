// What the ADS server needs to know its clients, kept true to the files that it comes from.
import { readFile } from "node:fs/promises";
import type { AdsTls } from "../xds/credentials.js";
import type { Ways } from "./authenticate.js";
import { type Followed, followFiles, type Read } from "./followed-files.js";
import type { IssuedTls } from "./issued-tls.js";
import { readTlsFiles, type TlsFiles, type TlsMaterial } from "./tls-files.js";
import { createTokenVerifier, type TokenVerifier } from "./token.js";

export interface AdsSecurityOptions {
  readonly trustDomain: string;
  readonly tls?: TlsFiles;
  /** In place of files; closed with what is made of it. */
  readonly issued?: IssuedTls;
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
  const tls = options.tls && (await followTls(options.tls, (options.tokens ?? tokenReview) !== undefined));
  if (tls && "error" in tls) return tls;
  const tokens = options.tokens && (await followKeys(options.tokens));
  if (tokens && "error" in tokens) {
    tls?.value.close();
    return tokens;
  }

  issued?.onRenewed((material) => {
    listener(material);
    onNotice(`made a new certificate: ${expiryText(material)}`);
  });

  function followTls(files: TlsFiles, isOptional: boolean): Promise<Read<Followed<TlsMaterial>>> {
    const paths = [files.certificate, files.key, ...(files.clientCa === undefined ? [] : [files.clientCa])];
    return followFiles(paths, {
      pollMs,
      read: async () => {
        const read = await readTlsFiles(files);
        return "error" in read || !isOptional ? read : { value: { ...read.value, clientCertificateIsOptional: true } };
      },
      onValue: (material) => {
        listener(material);
        onNotice(`read ${files.certificate} again: ${expiryText(material)}`);
      },
      onError: (error) => onNotice(`${error}; the certificate read before stays in force`),
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
        certificates: options.tls?.clientCa !== undefined,
        ...(tokenReview ? { tokens: () => tokenReview } : {}),
        ...(tokens ? { tokens: () => tokens.value.current } : {}),
      },
      get tls() {
        return issued?.current ?? tls?.value.current;
      },
      onTls(next) {
        listener = next;
      },
      close() {
        issued?.close();
        tls?.value.close();
        tokens?.value.close();
      },
    },
  };
}

function expiryText({ expiresAt }: TlsMaterial): string {
  return `it expires at ${new Date(expiresAt).toISOString()}`;
}
