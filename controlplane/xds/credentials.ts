// What TLS on the ADS server's connections is made of, and its replacement while connections are open.
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";

/** PEM encoded. With `clientCa`, clients must show a certificate that it signed. */
export interface AdsTls {
  readonly key: Buffer;
  readonly certificate: Buffer;
  readonly clientCa?: Buffer;
  /** A client without a certificate, or with one that `clientCa` did not sign, is served as one who showed none. */
  readonly clientCertificateIsOptional?: boolean;
}

/**
 * gRPC watches its credentials for newer contexts. Connections keep the one that they were made with; session tickets
 * of an older context no longer count, so a client must show its certificate again.
 */
export class ReplaceableCredentials extends ServerCredentials {
  constructor(tls: AdsTls) {
    const requestCert = tls.clientCa !== undefined;
    super({ requestCert, rejectUnauthorized: requestCert && !tls.clientCertificateIsOptional }, contextOptions(tls));
  }

  /** For connections from now on. Throws on what is no certificate and its key, and then nothing changes. */
  replace(tls: AdsTls): void {
    const options = contextOptions(tls);
    // gRPC would serve nobody any more with options that TLS refuses.
    createSecureContext(options);
    this.updateSecureContextOptions(options);
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function contextOptions({ key, certificate, clientCa }: AdsTls): SecureContextOptions {
  return { key, cert: certificate, minVersion: "TLSv1.2", ...(clientCa === undefined ? {} : { ca: clientCa }) };
}
