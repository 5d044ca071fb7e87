// Goal: the proxy between brokers carries everything, and when a direction of a link is cut, nothing of that direction.
import net from 'node:net'
import { test } from 'tap'
import type { NodeLayout } from '../../clients/dev/layout.ts'
import { LinkProxy } from '../../scripts/link-proxy.ts'

test('carries, holds one direction, resets, and refuses for the dead', async t => {
  const received: string[] = []
  const sockets: net.Socket[] = []
  const watchers = new Set<() => void>()
  const note = (what: string) => {
    received.push(what)
    for (const each of [...watchers]) each()
  }
  const seen = (what: string) =>
    new Promise<void>(resolve => {
      const look = () => {
        if (!received.join(' ').includes(what)) return
        watchers.delete(look)
        resolve()
      }
      watchers.add(look)
      look()
    })
  const server = net.createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', chunk => note(`2 got ${chunk}`))
    socket.on('close', () => note('2 closed'))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as net.AddressInfo
  const node = (nodeId: number, at: number): NodeLayout => ({
    ...{ nodeId, host: '127.0.0.1', port: at, controllerPort: at + 1, directory: '', file: '', text: '' }
  })
  const proxy = new LinkProxy([node(1, 1), node(2, port)])
  await proxy.start()
  t.teardown(() => proxy.stop())
  const links = JSON.parse(proxy.environmentOf(1).LINK_PORTS as string) as Record<string, number>
  t.same(Object.keys(links), [`127.0.0.1:${port}`, `127.0.0.1:${port + 1}`])
  const open = (label: string) => {
    const socket = net.connect(links[`127.0.0.1:${port}`] as number, '127.0.0.1')
    socket.on('data', chunk => note(`${label} got ${chunk}`))
    socket.on('error', error => note(`${label} failed ${(error as NodeJS.ErrnoException).code}`))
    socket.on('close', () => note(`${label} closed`))
    return socket
  }
  const aWhile = () => new Promise(resolve => setTimeout(resolve, 50))

  const first = open('1')
  first.write('a')
  await seen('2 got a')
  sockets[0]?.write('b')
  await seen('1 got b')

  proxy.cut(1, 2, 'hold')
  first.write('c')
  sockets[0]?.write('d')
  await seen('1 got d')
  await aWhile()
  t.notOk(received.includes('2 got c'), 'held')
  const late = open('late')
  late.write('e')
  await aWhile()
  t.notOk(received.includes('2 got e'), 'and a new connection too')
  proxy.heal(1, 2)
  await seen('2 got c')
  await seen('2 got e')

  proxy.cut(2, 1, 'hold')
  sockets[0]?.resetAndDestroy()
  await aWhile()
  t.notOk(received.includes('1 closed'), 'the way back is cut: nobody hears of the end')
  proxy.heal(2, 1)
  await seen('1 closed')

  proxy.cut(2, 1, 'reset')
  await seen('late closed')
  open('none')
  await seen('none closed')
  proxy.heal(2, 1)
  await proxy.down(2)
  open('dead')
  await seen('dead failed ECONNREFUSED')
  await proxy.up(2)
  open('again').write('f')
  await seen('2 got f')
})
