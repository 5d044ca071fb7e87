// Goal: Kafka's files are the truth. What lies in the cache beside them may be deleted, garbage, or older than the files,
// and groups still continue from their commits.
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { BrokerProcess } from './broker-process.ts'
import { commit, committed, createTopic } from './load.ts'

test('the cache of coordinators: deleted, corrupt, older', async t => {
  const directory = join(t.testdir(), 'data')
  const cache = join(directory, '__cluster_metadata-0', 'moldau-state')
  const older = join(t.testdirName, 'older')
  let position = 0
  /** One life: the group is where it was, and moves on. Ends cleanly or by a kill. */
  const live = async (end: 'stop' | 'kill') => {
    const broker = await BrokerProcess.start({ directory })
    const connection = await broker.connect()
    if (position === 0) await createTopic(connection, 'orders', 1)
    else t.equal(await committed(connection, 'shop', 'orders'), position)
    t.equal(await committed(connection, 'other', 'orders'), -1)
    for (let i = 0; i < 20; i++) await commit(connection, 'shop', 'orders', ++position)
    await broker[end]()
  }
  await live('stop')
  cpSync(cache, older, { recursive: true })
  await live('stop')
  rmSync(cache, { recursive: true })
  await live('kill')
  for (const name of readdirSync(cache)) if (name !== 'LOCK') writeFileSync(join(cache, name), 'garbage')
  await live('stop')
  rmSync(cache, { recursive: true })
  cpSync(older, cache, { recursive: true, filter: source => !source.endsWith('LOCK') })
  await live('stop')
  await live('stop')
})
