// The smallest useful static bootstrap, for tests of everything around an Envoy rather than of its configuration.

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** One HTTP listener named "front" that forwards everything to one cluster named "backend". */
export function forwardingBootstrap(listen: Endpoint, backend: Endpoint): object {
  return {
    static_resources: {
      listeners: [
        {
          name: "front",
          address: socketAddress(listen),
          filter_chains: [{ filters: [httpConnectionManager()] }],
        },
      ],
      clusters: [
        {
          name: "backend",
          type: "STATIC",
          load_assignment: {
            cluster_name: "backend",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(backend) } }] }],
          },
        },
      ],
    },
  };
}

function socketAddress({ host, port }: Endpoint) {
  return { socket_address: { address: host, port_value: port } };
}

function httpConnectionManager() {
  return {
    name: "http",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      stat_prefix: "front",
      http_filters: [
        {
          name: "router",
          typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        },
      ],
      route_config: {
        virtual_hosts: [
          { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "backend" } }] },
        ],
      },
    },
  };
}
