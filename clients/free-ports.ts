// Ports of this machine that nobody listens on, for brokers that are told theirs before they start. They lie below the
// ports that the system gives out by itself: a broker that is away for a while must find its own again.
import { createServer } from 'node:net'
import { systemCode } from '../broker/net/network.ts'

const HOST = '127.0.0.1'
const FIRST = 20_000
const COUNT = 10_000

/** Whether somebody who asks for it now gets the port. Rejects where no port could be had. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', error => {
      if (systemCode(error) === 'EADDRINUSE' || systemCode(error) === 'EACCES') resolve(false)
      else reject(error)
    })
    server.listen(port, HOST, () => server.close(() => resolve(true)))
  })
}

export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (await isFree(port)) return port
  }
}

/** So many, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(await freePort())
  return [...ports]
}
