// Rows about a broker's own life: start to first accepted produce, thousands of partitions, a crash with a large log. Each round is
// a new directory; the clock begins when the process is launched and ends when a produce was accepted.
import { rmSync, statfsSync } from 'node:fs'
import { encodeRequest } from '../../protocol/frame.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { accountsOf } from './accounts.ts'
import { Cluster, pause, untilDone } from './cluster.ts'
import { saturate } from './pace.ts'
import { Pipe } from './pipe.ts'
import { checkProduced, in64k, ProduceLane, untilAccepted } from './produce.ts'
import { batchOf, PRODUCE_VERSION, produceFrame } from './request.ts'
import { CannotRun, type Life, type LifeScene, type Outcome } from './workload.ts'

const PARTITIONS_A_TOPIC = 100
/** A controller writes what one request asks for at once, and takes no more than so many records (KIP-868). */
const TOPICS_A_REQUEST = 10
const LIMIT_MS = 300_000
const SETTLE_MS = 1000
/** Beside the data: indexes, and what others need meanwhile. */
const ROOM = 1.2

const batch = batchOf({ recordBytes: 100, recordsPerBatch: 1 })

function outcomeOf(startedMs: number, extra: Record<string, number>): Outcome {
  const seconds = (performance.now() - startedMs) / 1000
  return { seconds, requests: Number.NaN, records: Number.NaN, bytes: Number.NaN, wireBytes: 0, latency: null, extra }
}

/** As soon as the broker takes a connection. */
async function connected(port: number, life: Life): Promise<Cluster> {
  const end = performance.now() + LIMIT_MS
  for (;;) {
    try {
      return await Cluster.open(`127.0.0.1:${port}`)
    } catch (error) {
      if (!life.isRunning()) throw new Error('the broker ended before it was ready')
      if (performance.now() > end) throw error
      await pause(2)
    }
  }
}

interface Home {
  readonly directory: string
  readonly port: number
}

async function withHome(scene: LifeScene, live: (home: Home) => Promise<Outcome>): Promise<Outcome> {
  const home = { directory: scene.freshDirectory(), port: await scene.freePort() }
  try {
    await scene.lives.prepare(home.directory, home.port)
    return await live(home)
  } finally {
    rmSync(home.directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Ends what runs, however the row ended. */
async function during<T>(life: Life, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (error) {
    await life.end('SIGKILL')
    throw error
  }
}

export function liveStart(scene: LifeScene): Promise<Outcome> {
  return withHome(scene, async ({ directory, port }) => {
    const startedMs = performance.now()
    const life = await scene.lives.launch(directory, port)
    return await during(life, async () => {
      const cluster = await connected(port, life)
      const name = 'first'
      await untilDone('a first topic', () =>
        cluster.createTopics([name], 1).then(
          () => true,
          () => null
        )
      )
      await untilAccepted(cluster.pipe, produceFrame(name, [0], -1, batch))
      const startMs = performance.now() - startedMs
      const { cpuSeconds, residentMegabytes } = accountsOf([life.pid])
      cluster.close()
      await life.end('SIGTERM')
      return outcomeOf(startedMs, {
        startMs,
        startCpuSeconds: cpuSeconds,
        startMegabytes: residentMegabytes
      })
    })
  })
}

function toAll(topic: string): Buffer {
  const partitionData = Array.from({ length: PARTITIONS_A_TOPIC }, (_, index) => ({ index, records: batch }))
  const body = { acks: -1, timeoutMs: 30_000, topicData: [{ name: topic, partitionData }] }
  return Buffer.concat(encodeRequest(produce, PRODUCE_VERSION, 0, 'bench', body))
}

/** A topic whose leaders are not in office yet refuses some of it. */
async function acceptedByAll(pipe: Pipe, topic: string): Promise<void> {
  const frame = toAll(topic)
  await untilDone(
    `records in ${topic}`,
    () =>
      new Promise<number | null>(resolve => {
        pipe.send([frame], answer => {
          try {
            resolve(checkProduced(answer, PARTITIONS_A_TOPIC))
          } catch {
            resolve(null)
          }
        })
      }),
    LIMIT_MS
  )
}

async function createAll(cluster: Cluster, partitions: number): Promise<string[]> {
  const names = Array.from({ length: partitions / PARTITIONS_A_TOPIC }, (_, index) => `many-${index}`)
  for (let at = 0; at < names.length; at += TOPICS_A_REQUEST) {
    await cluster.createTopics(names.slice(at, at + TOPICS_A_REQUEST), PARTITIONS_A_TOPIC)
  }
  for (const name of names) await cluster.topic(name, PARTITIONS_A_TOPIC)
  // Made is what can be written to.
  await untilAccepted(cluster.pipe, produceFrame(names.at(-1) as string, [PARTITIONS_A_TOPIC - 1], -1, batch))
  return names
}

export function livePartitions(scene: LifeScene, partitions: number): Promise<Outcome> {
  return withHome(scene, async ({ directory, port }) => {
    const startedMs = performance.now()
    const life = await scene.lives.launch(directory, port)
    const { names, first } = await during(life, async () => {
      const cluster = await connected(port, life)
      await cluster.createTopic(1)
      await pause(SETTLE_MS)
      const before = accountsOf([life.pid])
      const beganMs = performance.now()
      const names = await createAll(cluster, partitions)
      const createMs = performance.now() - beganMs
      const created = accountsOf([life.pid])
      scene.progress(`${partitions} partitions are there, idle for ${scene.idleSeconds} s`)
      await pause(SETTLE_MS)
      const idleFrom = accountsOf([life.pid])
      await pause(scene.idleSeconds * 1000)
      const idle = accountsOf([life.pid])
      for (const name of names) await acceptedByAll(cluster.pipe, name)
      const first = {
        createMs,
        createCpuSeconds: created.cpuSeconds - before.cpuSeconds,
        idlePercent: ((idle.cpuSeconds - idleFrom.cpuSeconds) / scene.idleSeconds) * 100,
        kilobytesEach: ((idle.residentMegabytes - before.residentMegabytes) * 1024) / partitions
      }
      const gone = life.end('SIGKILL')
      cluster.close()
      await gone
      return { names, first }
    })
    scene.progress(`${partitions} partitions, killed and started again`)
    const again = await restarted(scene, { directory, port }, [{ topic: names[0] as string, partition: 0 }])
    return outcomeOf(startedMs, { ...first, ...again })
  })
}

/** A start on what a kill has left, until each of these partitions has accepted a record; then it is ended. */
async function restarted(
  scene: LifeScene,
  { directory, port }: Home,
  places: readonly { topic: string; partition: number; least?: number }[]
) {
  const restartedMs = performance.now()
  const life = await scene.lives.launch(directory, port)
  return await during(life, async () => {
    const cluster = await connected(port, life)
    for (const { topic, partition, least = 0 } of places) {
      const offset = await untilAccepted(cluster.pipe, produceFrame(topic, [partition], -1, batch), LIMIT_MS)
      if (offset < least) throw new Error(`${least} records were acknowledged before the kill, ${offset} are there`)
    }
    const restartMs = performance.now() - restartedMs
    const { cpuSeconds, residentMegabytes } = accountsOf([life.pid])
    cluster.close()
    await life.end('SIGKILL')
    return { restartMs, restartCpuSeconds: cpuSeconds, restartMegabytes: residentMegabytes }
  })
}

const CRASH_PARTITIONS = 4

export function liveCrash(scene: LifeScene): Promise<Outcome> {
  return withHome(scene, async home => {
    const { bavail, bsize } = statfsSync(home.directory)
    if (bavail * bsize < scene.crashBytes * ROOM) {
      throw new CannotRun(`${(scene.crashBytes / 1e9).toFixed(1)} GB have no room on this disk (--crash-gb N)`)
    }
    const startedMs = performance.now()
    const life = await scene.lives.launch(home.directory, home.port)
    const { topic, ends } = await during(life, async () => {
      const cluster = await connected(home.port, life)
      const topic = await untilDone('a topic', () => cluster.createTopic(CRASH_PARTITIONS).catch(() => null))
      const frames = topic.leaders.map((_, index) => produceFrame(topic.name, [index], -1, batchOf(in64k)))
      for (const frame of frames) await untilAccepted(cluster.pipe, frame)
      const pipes = await Promise.all(topic.leaders.map(leader => Pipe.open(leader)))
      const lanes = pipes.flatMap((pipe, index) =>
        Array.from({ length: in64k.depth }, () => {
          return new ProduceLane(pipe, [frames[index] as Buffer], in64k, { next: 0 })
        })
      )
      let bytes = 0
      while (bytes < scene.crashBytes) {
        bytes += (await saturate(lanes, 1)).bytes
        scene.progress(`${(bytes / 1e9).toFixed(1)} GB of ${(scene.crashBytes / 1e9).toFixed(1)} are written`)
      }
      const ends = await Promise.all(pipes.map((pipe, index) => untilAccepted(pipe, frames[index] as Buffer)))
      // In the middle of more.
      for (const lane of lanes) lane.pipe.send(lane.next(), () => {})
      const gone = life.end('SIGKILL')
      for (const pipe of pipes) pipe.close()
      cluster.close()
      await gone
      return { topic, ends }
    })
    scene.progress('killed and started again')
    const places = ends.map((end, partition) => ({
      ...{ topic: topic.name, partition },
      least: end + in64k.recordsPerBatch
    }))
    return outcomeOf(startedMs, { ...(await restarted(scene, home, places)), gigabytes: scene.crashBytes / 1e9 })
  })
}
