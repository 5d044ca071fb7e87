// What a broker says of its earlier life when it registers: its epoch where nothing that was acknowledged can be missing.
import { test } from 'tap'
import { forgetIfSuspect, previousBrokerEpoch, storeBrokerEpoch } from '../../broker/broker-epoch.ts'
import { Catalog } from '../../storage/catalog.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { MemoryKeyStores } from '../../storage/snapshot-cache.ts'
import { chance } from '../replication/controller/cluster.ts'
import { CatalogClock, settings } from '../storage/catalog-fixture.ts'

type Policy = 'group-commit' | 'page-cache'

/** One directory through lives that end in order or by a power cut, and may end before they are registered. */
class Lives {
  files = new MemoryFiles()
  catalog!: Catalog
  #stores = new MemoryKeyStores()

  /** What is said at the registration; that of a life which gets none is null. */
  async begin(policy: Policy, registered: number | null = null): Promise<number | null> {
    const { files } = this
    this.catalog = await Catalog.open({
      ...{ files, directory: '/data', nodeId: 1, clusterId: null, clock: new CatalogClock(), random: chance(1) },
      ...{ settings, policy, tailCacheBytes: 1 << 20, bootstrapCheckpoint: () => Buffer.alloc(0) },
      ...{ openKeyStore: this.#stores.open, onEvent: () => {}, onOffline: () => {} }
    })
    await forgetIfSuspect(files, this.catalog)
    if (registered === null) return null
    const said = await previousBrokerEpoch(files, this.catalog, policy === 'group-commit')
    await storeBrokerEpoch(files, '/data', registered, policy === 'group-commit')
    return said
  }

  async stop(brokerEpoch = -1): Promise<void> {
    await this.catalog.close({ brokerEpoch })
  }

  crash(): void {
    this.files = this.files.crash({ below: chance(1).below }, 'drop')
    this.#stores.crash(count => count)
  }
}

test('a crash loses nothing that was acknowledged under group commit, and may under page-cache', async t => {
  const lives = new Lives()
  t.equal(await lives.begin('group-commit', 10), -1, 'a new directory')
  lives.crash()
  t.equal(await lives.begin('group-commit', 20), 10)
  await lives.stop(20)
  t.equal(await lives.begin('page-cache', 30), 20, 'a stop in order syncs everything')
  lives.crash()
  t.equal(await lives.begin('page-cache', 40), -1)
  lives.crash()
  t.equal(await lives.begin('group-commit', 50), -1, 'it is the policy of the life that crashed that counts')
  lives.crash()
  t.equal(await lives.begin('group-commit', 60), 50)
})

test('a life that was never registered takes nothing away', async t => {
  const lives = new Lives()
  await lives.begin('group-commit', 10)
  lives.crash()
  await lives.begin('group-commit')
  await lives.stop()
  t.equal(await lives.begin('group-commit', 20), 10, 'stopped before it had a controller')
  await lives.stop(20)
  await lives.begin('group-commit')
  await lives.stop()
  t.equal(await lives.begin('group-commit', 30), 20)
})

test('a failed sync is told, though the life that copied what it left was never registered', async t => {
  const lives = new Lives()
  await lives.begin('group-commit', 10)
  const mark = `/data/moldau-suspect-${lives.catalog.directoryId}.json`
  const suspect = { topic: 'a', partition: 0, durableEndOffset: 1, reason: 'EIO' }
  await lives.files.writeFileAtomically(mark, Buffer.from(JSON.stringify([suspect])))
  lives.crash()
  await lives.begin('group-commit')
  t.ok(lives.catalog.hadSuspects)
  // As when every log is copied.
  await lives.files.unlink(mark)
  await lives.files.syncDirectory('/data')
  lives.crash()
  t.equal(await lives.begin('group-commit', 20), -1)
  t.notOk(lives.catalog.hadSuspects)
})
