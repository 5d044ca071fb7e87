// Goal: three real brokers on simulated machines elect, replicate and survive whatever happens to one of them at a time: all
// that was acknowledged is read afterwards, a death that can be noticed costs less than a second, and the story replays.
import { test } from 'tap'
import { World } from '../../clients/simulate/world.ts'
import { FAULTS, tellOfCluster } from './cluster-story.ts'
import { tellOfStop } from './gap-story.ts'

/** Hints (a reset or a refused connection) make these short; silence must wait for sessions and time-outs (6 s, 2 s). */
const NOTICED = ['kill', 'crash', 'stop', 'reset'] as const
const SILENT = ['power-off', 'pause', 'isolate', 'one-way'] as const

test('three nodes form a cluster, and one seed is one story', async t => {
  const world = new World({ seed: 5, brokers: 3 })
  await world.start()
  t.ok(world.nowMs < 1000, `in ${world.nowMs} ms`)
  await world.run(1000)
  const images = world.nodes.map(({ broker }) => broker!.services.metadata.image)
  for (const { brokers } of images) t.same([...brokers.values()].map(each => each.fenced).sort(), [false, false, false])
  t.equal(new Set(world.nodes.map(({ broker }) => broker!.clusterId)).size, 1)
  world.end()
  const first = await tellOfCluster({ seed: 21, rounds: 2, longestMs: 3000 })
  t.same(await tellOfCluster({ seed: 21, rounds: 2, longestMs: 3000 }), first)
})

test('deaths that can be noticed: nothing is lost, and nobody waits for a second', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const story = await tellOfCluster({ seed, rounds: 3, faults: NOTICED, longestMs: 3000 })
    t.same(story.lost, [], `seed ${seed}: ${story.faults.join(', ')}`)
    t.ok(story.longestGapMs < 1000, `seed ${seed}: ${story.longestGapMs} ms; ${story.faults.join(', ')}`)
    t.ok(story.acked > 100)
  }
})

test('a stop in order: its partitions are silent for a few round trips, the controller its own too', async t => {
  for (const isController of [false, true]) {
    const { gapsMs, stoppedMs } = await tellOfStop({ seed: 7, isController })
    t.ok(Math.max(...gapsMs) < 30, `controller: ${isController}: ${gapsMs} ms`)
    t.ok(stoppedMs < 100, `stopped after ${stoppedMs} ms`)
  }
  // It reads last of all who leads instead: whoever waits for an ack there is told, not left until its time is up.
  for (const seed of [1, 6]) {
    const { gapsMs, stoppedMs } = await tellOfStop({ seed, isController: false, slowness: 20 })
    t.ok(Math.max(...gapsMs) < 30, `a slow disk: ${gapsMs} ms`)
    t.ok(stoppedMs < 1500, `seed ${seed}: stopped after ${stoppedMs} ms`)
  }
})

test('a disk that fails: all that the node leads is given away before its process ends, by the controller too', async t => {
  for (const isController of [true, false]) {
    const world = new World({ seed: 3, brokers: 3 })
    await world.start()
    const victim = world.nodes.find(({ broker }) => broker!.services.controller.isActive === isController)!
    const [other] = world.nodes.filter(node => node !== victim)
    const { channel, metadata } = other!.broker!.services
    await world.until(channel.autoCreate(['__consumer_offsets']), 5000)
    const count = () => {
      const all = [...metadata.image.topicsByName.values()].flatMap(topic => topic.partitions)
      return all.filter(partition => partition.leader === victim.id).length
    }
    t.ok(count() > 0)
    for (const operation of ['write', 'sync'] as const) victim.disk.inject({ operation, path: '/', code: 'EIO' })
    const beganMs = world.nowMs
    channel.autoCreate(['wake']).catch(() => {})
    t.ok(await world.waitFor(() => count() === 0, 1000), `controller: ${isController}`)
    t.not(victim.process, null, 'it is still there')
    t.ok(await world.waitFor(() => victim.process === null, 5000))
    t.ok(world.nowMs - beganMs < 1500, `ended after ${world.nowMs - beganMs} ms`)
    world.end()
  }
})

test('a topic that clients ask for while the controller goes is made, or is not there yet', async t => {
  const world = new World({ seed: 8, brokers: 3 })
  await world.start()
  const controller = world.nodes.find(({ broker }) => broker!.services.controller.isActive)!
  const [other] = world.nodes.filter(node => node !== controller)
  const { channel } = other!.broker!.services
  const stopped = controller.stop()
  const asked: Promise<ReadonlyMap<string, number>>[] = []
  for (let i = 0; i < 100; i++) {
    asked.push(channel.autoCreate([`topic-${i}`]))
    await world.run(1)
  }
  const codes = (await world.until(Promise.all(asked), 5000)).flatMap(made => [...made.values()])
  t.strictSame([...new Set(codes)], [0])
  await world.until(stopped, 5000)
  world.end()
})

test('silence: nothing is lost, and it goes on once sessions have ended', async t => {
  for (let seed = 1; seed <= 3; seed++) {
    const story = await tellOfCluster({ seed, rounds: 3, faults: SILENT })
    t.same(story.lost, [], `seed ${seed}: ${story.faults.join(', ')}`)
    t.ok(story.longestGapMs < 15_000, `seed ${seed}: ${story.longestGapMs} ms; ${story.faults.join(', ')}`)
  }
})

test('any of them, one after the other', async t => {
  for (let seed = 100; seed < 102; seed++) {
    const story = await tellOfCluster({ seed, rounds: 5, faults: FAULTS })
    t.same(story.lost, [], `seed ${seed}: ${story.faults.join(', ')}`)
  }
})
