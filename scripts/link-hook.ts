// Loaded into a broker process before everything else (node --import): connections to the addresses that LINK_PORTS names
// go to the port that it gives, where a proxy stands (link-proxy.ts). The broker knows nothing of it.
import net from 'node:net'

const links = new Map<string, number>(Object.entries(JSON.parse(process.env.LINK_PORTS ?? '{}')))
const connect = net.connect

net.connect = ((...args: unknown[]) => {
  const [options, ...rest] = args
  if (typeof options !== 'object' || options === null) return (connect as (...all: unknown[]) => net.Socket)(...args)
  const { host, port } = options as { host?: string; port?: number }
  const proxied = links.get(`${host}:${port}`)
  return (connect as (...all: unknown[]) => net.Socket)(
    proxied === undefined ? options : { ...options, host: '127.0.0.1', port: proxied },
    ...rest
  )
}) as typeof net.connect
