// One story of a simulated quorum: faults by the dice, then peace, in which it must elect one leader, keep it, commit on
// every node, and make voters of all.
import assert from 'node:assert/strict'
import { type Effect, step } from '../../../replication/quorum/step.ts'
import type { QuorumNode, Step } from './node.ts'
import { World } from './world.ts'

export interface Outcome {
  readonly events: number
  readonly epochs: number
  readonly committed: number
}

const FAULTS_MS = 12_000
const PEACE_MS = 5_000

export function simulate(seed: number, planted: Step = step): Outcome {
  const voters = [3, 5, 3, 1, 3, 5, 4, 2][seed % 8] as number
  const world = new World({ seed, voters, isFormatted: (seed >> 3) % 2 === 0, step: planted })
  for (const node of world.nodes) world.after(world.chance() * 300, null, () => node.start())
  world.runUntil(300)
  // Some stories begin in peace, so that there is something to lose.
  if (world.chance() < 0.5) {
    world.isCalm = true
    world.runUntil(1_000)
    world.isCalm = false
  }
  const cruelty = Math.max(0, world.chance() * 0.4 - 0.2)
  if (cruelty > 0) world.onSeen = (node, effect) => nemesis(world, node, effect, cruelty)
  world.fetchRecords = [1, 20][world.below(2)] as number
  world.latencyMs = [3, 3, 30][world.below(3)] as number
  const busy = 10 + world.chance() * 60
  while (world.nowMs < FAULTS_MS) {
    world.append()
    if (world.chance() < busy / 500) fault(world)
    world.runUntil(world.nowMs + busy * (0.5 + world.chance()))
  }
  const absent = settle(world)
  return checkPeace(world, absent)
}

function fault(world: World): void {
  const node = world.nodes[world.below(world.nodes.length)] as QuorumNode
  const other = world.nodes[world.below(world.nodes.length)] as QuorumNode
  const dice = world.chance()
  if (dice < 0.25) restart(world, node, false)
  else if (dice < 0.33) restart(world, node, true)
  else if (dice < 0.4) restart(world, leaderOf(world) ?? node, false)
  else if (dice < 0.5) {
    world.pause(node)
    world.after(world.chance() * 4000, null, () => world.resume(node))
  } else if (dice < 0.6) {
    const keys = world.nodes.flatMap(({ id }) => [`${node.id}>${id}`, `${id}>${node.id}`])
    cut(world, keys)
  } else if (dice < 0.8) cut(world, [`${node.id}>${other.id}`])
  else if (dice < 0.85) {
    if (node.isUp) node.give({ kind: 'hinted', leaderId: other.id })
  } else if (dice < 0.92) {
    const leader = leaderOf(world) ?? node
    if (leader.isUp && !world.paused.has(leader)) {
      leader.give({ kind: 'stopping' })
      world.after(50, null, () => restart(world, leader, false))
    }
  } else if (node.isUp && !world.paused.has(node)) {
    node.give({ kind: 'failed' })
    world.after(world.chance() * 1000, null, () => restart(world, node, false))
  }
}

function nemesis(world: World, node: QuorumNode, effect: Effect, cruelty: number): void {
  const isVote = (effect.kind === 'reply' && effect.isGranted) || effect.kind === 'send-vote'
  if (!isVote && effect.kind !== 'lead' && effect.kind !== 'advance-high-watermark') return
  if (world.chance() > (effect.kind === 'advance-high-watermark' ? cruelty / 20 : cruelty)) return
  world.after(0, null, () => strike(world, node))
}

function strike(world: World, node: QuorumNode): void {
  const other = world.nodes[world.below(world.nodes.length)] as QuorumNode
  const dice = world.chance()
  if (dice < 0.5) restart(world, node, false)
  else if (dice < 0.7) restart(world, node, true)
  else if (dice < 0.8) restart(world, other, true)
  else if (dice < 0.9) cut(world, [`${node.id}>${other.id}`, `${other.id}>${node.id}`])
  else {
    world.pause(node)
    world.after(world.chance() * 1500, null, () => world.resume(node))
  }
}

function cut(world: World, keys: readonly string[]): void {
  for (const key of keys) world.cuts.add(key)
  world.after(world.chance() * 4000, null, () => {
    for (const key of keys) world.cuts.delete(key)
  })
}

/** A disk may be lost where all others are whole: one at a time, and where a majority is left. */
function restart(world: World, node: QuorumNode, isWiping: boolean): void {
  if (!node.isUp) return
  world.crash(node)
  const isWhole = world.nodes.every(other => other === node || (!other.isWiped && other.disk.stored !== null))
  if (isWiping && isWhole && world.nodes.length > 2) node.wipe()
  world.after(world.chance() ** 5 * 3000, null, () => {
    if (!node.isUp) node.start()
  })
}

/** Peace. One of several may stay away for good, unless another one has to ask all. */
function settle(world: World): QuorumNode | null {
  world.heal()
  const isWhole = world.nodes.every(node => !node.isWiped && node.disk.stored !== null)
  const candidate = world.nodes[world.below(world.nodes.length)] as QuorumNode
  const absent = isWhole && world.nodes.length > 2 && world.chance() < 0.4 ? candidate : null
  for (const node of world.nodes) {
    world.crash(node)
    if (node !== absent) node.start()
  }
  // What is still on the agenda of the faults must not disturb.
  if (absent !== null) absent.start = () => {}
  world.runUntil(world.nowMs + 4_000)
  for (const node of world.nodes) if (node !== absent && node.quorum.isStopping) restartNow(world, node)
  return absent
}

function restartNow(world: World, node: QuorumNode): void {
  world.crash(node)
  node.start()
}

/** One leader whom all know, in one epoch, and what is appended gets committed everywhere. */
function checkProgress(world: World, nodes: readonly QuorumNode[]): QuorumNode {
  const leader = leaderOf(world)
  assert(leader, 'there is no leader')
  const { epoch } = leader.quorum
  for (const { id, quorum } of nodes) {
    assert(quorum.epoch === epoch && quorum.leaderId === leader.id, `node ${id} does not know the leader`)
    assert(!quorum.isFresh, `node ${id} is no voter`)
  }
  const [value] = world.append()
  world.runUntil(world.nowMs + 1_000)
  assert(world.invariants.committed.at(-1)?.value === value, 'nothing is committed')
  for (const { id, quorum, disk } of nodes) {
    assert(quorum.epoch === epoch, `epoch ${epoch} ended without a reason`)
    assert(quorum.highWatermark === disk.log.length, `node ${id} does not know what is committed`)
  }
  return leader
}

function checkPeace(world: World, absent: QuorumNode | null): Outcome {
  const nodes = world.nodes.filter(node => node !== absent)
  world.runUntil(world.nowMs + PEACE_MS)
  const leader = checkProgress(world, nodes)
  const { epoch } = leader.quorum
  const follower = nodes.find(node => node !== leader)
  if (absent === null && nodes.length > 2 && follower !== undefined) {
    // Who was away for long disturbs nobody when it is back (KIP-996).
    cut(
      world,
      world.nodes.flatMap(({ id }) => [`${follower.id}>${id}`, `${id}>${follower.id}`])
    )
    world.runUntil(world.nowMs + 8_000)
    world.cuts.clear()
    world.runUntil(world.nowMs + 3_000)
    checkProgress(world, nodes)
    assert(leader.quorum.epoch === epoch, `epoch ${epoch} ended because node ${follower.id} came back`)
    // A leader that is silent is replaced, and finds its place when it is back.
    world.pause(leader)
    world.runUntil(world.nowMs + 6_000)
    assert((leaderOf(world)?.quorum.epoch ?? 0) > epoch, `node ${leader.id} is not replaced`)
    world.resume(leader)
    world.runUntil(world.nowMs + 3_000)
    checkProgress(world, nodes)
  }
  return { events: world.events, epochs: epoch, committed: world.invariants.committed.length }
}

export function leaderOf(world: World): QuorumNode | undefined {
  return world.nodes.filter(node => node.isUp && node.leads !== -1).sort((left, right) => right.leads - left.leads)[0]
}
