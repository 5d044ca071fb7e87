// Does what people type, one command after the other. None waits for what the cluster makes of an earlier one: a node that
// is started may need others that are still to be started, and people may want to kill what does not come.
import type { LocalCluster } from './cluster.ts'
import { type Command, HELP, type Verb } from './commands.ts'
import { nodeName, say, sayPlainly, statusLines } from './console.ts'
import type { NodeProcess } from './node-process.ts'
import { Story } from './story.ts'

export class Orders {
  readonly #cluster: LocalCluster
  readonly #stories = new Map<NodeProcess, Story>()
  /** Of nodes that are told to start while they stop, and what is told to them after that. */
  readonly #waiting = new Map<NodeProcess, Promise<void>>()
  #queue: Promise<void> = Promise.resolve()
  #isOver = false

  constructor(cluster: LocalCluster) {
    this.#cluster = cluster
  }

  take(command: Command): void {
    this.#queue = this.#queue.then(() => this.#obey(command)).catch(tell)
  }

  /** Nothing is done or said any more. */
  end(): void {
    this.#isOver = true
    for (const story of this.#stories.values()) story.end()
  }

  async #obey(command: Command): Promise<void> {
    const cluster = this.#cluster
    if (this.#isOver) return
    switch (command.verb) {
      case 'nothing':
      case 'quit':
        return
      case 'help':
        return sayPlainly(HELP)
      case 'status': {
        const [view, controller] = [await cluster.view(), await cluster.controller()]
        return sayPlainly(statusLines(cluster, view, controller).join('\n'))
      }
      case 'unknown':
        return say(`does not know '${command.text}'; help lists the commands`)
      default: {
        const nodeId = command.target === 'controller' ? await cluster.controller() : command.target
        if (nodeId === null) return say('knows no controller just now')
        if (!cluster.has(nodeId)) return say(`has no node ${nodeId}`)
        return await this.#inTurn(command.verb, cluster.process(nodeId))
      }
    }
  }

  /** What is told to one node is done in its order; what has to wait for the end of a stop keeps nothing else waiting. */
  async #inTurn(verb: Verb, node: NodeProcess): Promise<void> {
    const before = this.#waiting.get(node)
    if (before === undefined && !(verb === 'start' && node.state === 'stopping')) return await this.#act(verb, node)
    const turn = (before ?? node.ended).then(() => this.#act(verb, node)).catch(tell)
    this.#waiting.set(node, turn)
    void turn.then(() => {
      if (this.#waiting.get(node) === turn) this.#waiting.delete(node)
    })
  }

  async #act(verb: Verb, node: NodeProcess): Promise<void> {
    const cannot = (why: string) => say(`${nodeName(node.nodeId)} ${why}`)
    if (this.#isOver) return
    switch (verb) {
      case 'kill':
        if (node.isDown) return cannot('is not running')
        await this.#story(node).goes('was killed', () => void node.kill())
        return await node.ended
      case 'stop':
        if (node.isDown) return cannot('is not running')
        if (node.state === 'stopping') return cannot('is stopping already')
        return await this.#story(node).goes('stops in order', () => void node.stop())
      case 'pause':
        if (!node.isUp) return cannot('is not running')
        return await this.#story(node).goes('is held', () => node.pause())
      case 'resume':
        if (node.state !== 'paused') return cannot('is not held')
        node.resume()
        return this.#story(node).returns('goes on')
      case 'start':
        if (node.state === 'paused') return cannot('is held; resume lets it go on')
        if (!node.isDown) return cannot(node.state === 'starting' ? 'is starting already' : 'is running')
        return this.#story(node).starts()
      default:
        return verb satisfies never
    }
  }

  #story(node: NodeProcess): Story {
    this.#stories.get(node)?.end()
    const story = new Story(this.#cluster, node)
    this.#stories.set(node, story)
    return story
  }
}

function tell(error: unknown): void {
  say((error as Error).message)
}
