// The network of one life inside this process: real sockets that go silent when the broker stands still, are reset when it
// dies, and keep back what a cut link would not carry. A cut is made at the end that opened the connection; that end
// knows both nodes.
import type { ByteStream, Listening, ListenOptions, Network } from '../../broker/net/network.ts'
import type { Life } from './life.ts'
import type { Links } from './links.ts'
import { LifeStream } from './stream.ts'

export class LifeNetwork implements Network {
  readonly #life: Life
  readonly #links: Links
  readonly #nodeId: number
  readonly #real: Network
  readonly #listening = new Set<Listening>()

  constructor(life: Life, nodeId: number, links: Links, real: Network) {
    this.#life = life
    this.#nodeId = nodeId
    this.#links = links
    this.#real = real
    life.onEnd(() => {
      for (const each of this.#listening) each.close()
    })
  }

  async listen(
    options: ListenOptions,
    onStream: (stream: ByteStream) => void,
    onError: (error: Error) => void
  ): Promise<Listening> {
    if (this.#life.isDead) return await new Promise(() => {})
    const accept = (real: ByteStream) => {
      const stream = new LifeStream(this.#life, () => real, null)
      this.#life.run(() => onStream(stream))
    }
    const listening = await this.#real.listen(options, accept, error => this.#life.run(() => onError(error)))
    if (this.#life.isDead) listening.close()
    this.#listening.add(listening)
    this.#links.learn(listening.port, this.#nodeId)
    return {
      port: listening.port,
      close: () => {
        this.#listening.delete(listening)
        listening.close()
      }
    }
  }

  connect(host: string, port: number): ByteStream {
    const peer = this.#links.nodeAt(port)
    const way = peer === null ? null : { links: this.#links, from: this.#nodeId, to: peer }
    return new LifeStream(this.#life, () => this.#real.connect(host, port), way)
  }
}
