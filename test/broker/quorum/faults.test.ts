// Goal: under random faults the metadata logs of three nodes stay one: nothing that anybody saw committed is lost, and all
// see it in one order; no two lead one epoch.
import { test } from 'tap'
import { formed, leaderOf, type QuorumNode, type QuorumWorld, SMALL } from './quorum-world.ts'

test('kills, power failures, cuts and pauses: what one saw committed, all see, in one order', async t => {
  const SEEDS = 8
  const elections = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = await formed({ seed: 100 + seed, set: seed % 2 ? SMALL : [] })
    const story = new Story(world)
    for (let act = 0; act < 25; act++) await story.act()
    await story.heal()
    t.ok(await world.waitFor(() => world.isInStep(), 30_000), `seed ${seed}: ${story.state()}`)
    t.equal(story.complaint, null, `seed ${seed}: ${story.complaint}`)
    const topics = new Set(leaderOf(world).topics)
    t.same(
      [...story.committed].filter(name => !topics.has(name)),
      [],
      `seed ${seed}: nothing is lost`
    )
    t.ok(story.committed.size > 3, `seed ${seed}: ${story.committed.size} committed`)
    for (const one of story.leaders) elections.add(`${seed} ${one}`)
    world.end()
  }
  t.ok(elections.size > SEEDS * 2, `${elections.size} leaders`)
})

/** Random faults, and a watch over everything that every node shows. */
class Story {
  readonly committed = new Set<string>()
  /** `epoch node` */
  readonly leaders = new Map<number, number>()
  complaint: string | null = null
  readonly #world: QuorumWorld
  #count = 0

  constructor(world: QuorumWorld) {
    this.#world = world
    world.check = () => this.#watch()
  }

  async act(): Promise<void> {
    const world = this.#world
    const { dice, network } = world
    const node = dice.pick(world.nodes)
    const down = world.nodes.filter(each => !each.isRunning)
    const what = dice.below(9)
    if (what === 0) node.kill()
    else if (what === 1 && node.isRunning) node.crash(dice.isOneIn(2) ? 'drop' : 'mixed')
    else if (what === 2) network.isolate(`node-${node.id}`)
    else if (what === 3) network.cut(`node-${node.id}`, `node-${(node.id % 3) + 1}`)
    else if (what === 4) node.process?.pause()
    else if (what === 5) for (const each of world.nodes) each.process?.resume()
    else if (what === 6) network.healAll()
    else if (down.length > 0) await this.#start(dice.pick(down))
    for (let i = dice.below(4); i > 0; i--) this.#append()
    await world.run(dice.below(what > 6 ? 3000 : 600))
    if (down.length === 3) await this.heal()
  }

  async heal(): Promise<void> {
    const world = this.#world
    world.network.healAll()
    for (const node of world.nodes) {
      node.process?.resume()
      if (!node.isRunning) await this.#start(node)
    }
    await world.waitFor(() => world.leader !== null)
  }

  async #start(node: QuorumNode): Promise<void> {
    const started = node.start()
    await this.#world.waitFor(() => node.log !== null || !node.isRunning, 2000)
    void started
  }

  #append(): void {
    try {
      this.#world.leader?.append(`t${this.#count++}`)
    } catch {
      // It leads no more, or its process stands still.
    }
  }

  state(): string {
    return this.#world.nodes
      .map(({ id, log, failure }) => {
        const shown = log && `${log.leaderId}/${log.leaderEpoch} ${log.cache.endOffset}/${log.logEndOffset}`
        return `${id}: ${failure?.message ?? shown ?? 'down'}`
      })
      .join('; ')
  }

  #watch(): void {
    let longest: string[] = []
    for (const { id, log, failure } of this.#world.nodes) {
      // Nobody does anything here that may end a node.
      if (failure) this.complaint ??= `node ${id} failed: ${failure.message}`
      if (!log) continue
      if (log.isLeader) {
        const known = this.leaders.get(log.leaderEpoch) ?? id
        if (known !== id) this.complaint ??= `${known} and ${id} lead epoch ${log.leaderEpoch}`
        this.leaders.set(log.leaderEpoch, id)
      }
      const { topicsByName } = log.cache.image
      if (topicsByName.size > longest.length) longest = [...topicsByName.keys()]
    }
    if (longest.length === 0) return
    for (const name of longest.slice(this.committed.size)) this.committed.add(name)
    for (const { id, log } of this.#world.nodes) {
      let at = 0
      for (const name of log?.cache.image.topicsByName.keys() ?? []) {
        if (name !== longest[at++]) this.complaint ??= `node ${id} has ${name} where another has ${longest[at - 1]}`
      }
    }
  }
}
