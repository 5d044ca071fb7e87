// A member of a group that does nothing but send heartbeats, in a thread of its own: whatever else a test does to a broker
// does not make it late. Told how long the slowest answer took, without the time in which the broker or this thread
// waited for a processor: on a busy machine that is nobody's doing.
import { readFileSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Connection, connect } from '../../clients/connection.ts'
import { heartbeat } from '../../protocol/messages/heartbeat.ts'
import { joinGroup } from '../../protocol/messages/join-group.ts'
import { syncGroup } from '../../protocol/messages/sync-group.ts'
import { coordinatorOf, Refused, untilAnswered } from './load.ts'

export interface Beats {
  readonly count: number
  readonly slowestMs: number
  readonly failure: string | null
}

interface Place {
  readonly port: number
  readonly pid: number
}

const EVERY_MS = 50
const SESSION_MS = 6000
const MEMBER_ID_REQUIRED = 79

/** Resolves when the member has joined, with what ends it and gives its account. */
export async function watchedMember(place: Place): Promise<() => Promise<Beats>> {
  const worker = new Worker(new URL(import.meta.url), { workerData: place })
  const said = () => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  await said()
  return async () => {
    const account = said()
    worker.postMessage('end')
    const beats = (await account) as Beats
    await worker.terminate()
    return beats
  }
}

/** A member of a group. */
export interface Member {
  readonly groupId: string
  readonly memberId: string
  readonly generationId: number
}

/** Finds the coordinator, joins, and takes an assignment: as the only member of its group. */
export async function joined(connection: Connection, groupId: string, metadata = Buffer.alloc(0)): Promise<Member> {
  await coordinatorOf(connection, groupId)
  const protocols = [{ name: 'range', metadata }]
  const ask = (memberId: string) =>
    connection.send(joinGroup, 5, {
      ...{ groupId, memberId, protocolType: 'consumer', protocols },
      ...{ sessionTimeoutMs: SESSION_MS, rebalanceTimeoutMs: SESSION_MS }
    })
  const { memberId, generationId } = await untilAnswered(async () => {
    const first = await ask('')
    const answer = first.errorCode === MEMBER_ID_REQUIRED ? await ask(first.memberId) : first
    if (answer.errorCode !== 0) throw new Refused(answer.errorCode, 'join')
    return answer
  })
  const assignments = [{ memberId, assignment: metadata }]
  const { errorCode } = await connection.send(syncGroup, 3, { groupId, generationId, memberId, assignments })
  if (errorCode !== 0) throw new Refused(errorCode, 'sync')
  return { groupId, memberId, generationId }
}

/** How long a thread could have run and did not, so far. */
function runDelayMs(thread: string): number {
  try {
    return Number(readFileSync(`/proc/${thread}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}

async function beat({ port, pid }: Place): Promise<void> {
  const connection = await connect('127.0.0.1', port, { clientId: 'member' })
  const member = await joined(connection, 'watched')
  const beats = { count: 0, slowestMs: 0, failure: null as string | null }
  let isOver = false
  parentPort?.once('message', () => {
    isOver = true
  })
  parentPort?.postMessage('joined')
  const delayMs = () => runDelayMs(`${pid}/task/${pid}`) + runDelayMs('thread-self')
  try {
    while (!isOver) {
      const [beganMs, delayedMs] = [performance.now(), delayMs()]
      const { errorCode } = await connection.send(heartbeat, 3, member)
      const tookMs = performance.now() - beganMs - (delayMs() - delayedMs)
      beats.count++
      beats.slowestMs = Math.max(beats.slowestMs, tookMs)
      if (errorCode !== 0) throw new Error(`a heartbeat was answered by error ${errorCode}`)
      await new Promise(resolve => setTimeout(resolve, EVERY_MS))
    }
  } catch (error) {
    beats.failure = String(error)
    while (!isOver) await new Promise(resolve => setTimeout(resolve, EVERY_MS))
  }
  parentPort?.postMessage(beats)
}

if (!isMainThread && workerData) await beat(workerData as Place)
