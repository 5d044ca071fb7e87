// One suite for both disks: what storage relies on. What only the disk in memory can show (crashes, faults) follows.
import path from 'node:path'
import { type Test, test } from 'tap'
import type { Files } from '../../storage/files.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { NodeFiles } from '../../storage/files-node.ts'

const bytes = (text: string) => Buffer.from(text, 'latin1')

async function conforms(t: Test, files: Files, root: string): Promise<void> {
  const file = path.join(root, 'a')

  await t.test('a missing file is null, or an error where it must exist', async t => {
    t.equal(files.sizeOf(file), null)
    t.equal(files.readFileSync(file), null)
    t.equal(await files.readFile(file), null)
    t.equal(await files.stat(file), null)
    for (const mode of ['read', 'write'] as const) {
      t.throws(() => files.open(file, mode), { code: 'ERR_STORAGE' })
    }
    t.throws(() => files.rename(file, path.join(root, 'b')), { code: 'ERR_STORAGE' })
    await t.rejects(files.readdir(path.join(root, 'none')), { code: 'ERR_STORAGE' })
    await files.unlink(file)
    await files.removeDirectory(path.join(root, 'none'))
  })

  await t.test('writes gather buffers at a position and reads stop at the end', async t => {
    const fd = files.open(file, 'create')
    files.writev(fd, [bytes('hello '), bytes('wide '), bytes('world')], 0)
    files.writev(fd, [bytes('W')], 11)
    const buffer = Buffer.alloc(20)
    t.equal(files.readSync(fd, buffer, 6), 10)
    t.equal(buffer.toString('latin1', 0, 10), 'wide World')
    t.equal(await files.read(fd, buffer.subarray(0, 5), 0), 5)
    t.equal(buffer.toString('latin1', 0, 5), 'hello')
    t.equal(await files.read(fd, buffer, 16), 0)
    t.equal(await files.read(fd, Buffer.alloc(0), 0), 0)
    t.equal(files.sizeOf(file), 16)
    await files.fdatasync(fd)
    await files.fdatasync(fd, true)
    files.close(fd)
    t.equal((await files.readFile(file))?.toString('latin1'), 'hello wide World')
  })

  await t.test('thousands of buffers go in one call', async t => {
    const fd = files.open(path.join(root, 'many'), 'create')
    const parts = Array.from({ length: 3000 }, (_, index) => bytes(String(index % 10)))
    files.writev(fd, parts, 4)
    files.close(fd)
    const found = files.readFileSync(path.join(root, 'many'))
    t.equal(found?.length, 3004)
    t.equal(found?.toString('latin1', 4), parts.map(part => part.toString('latin1')).join(''))
    t.same(found?.subarray(0, 4), Buffer.alloc(4), 'a hole reads as zeros')
  })

  await t.test('truncation cuts, and grows with zeros', async t => {
    const fd = files.open(file, 'write')
    files.ftruncate(fd, 5)
    t.equal(files.sizeOf(file), 5)
    files.ftruncate(fd, 8)
    files.close(fd)
    t.same(files.readFileSync(file), Buffer.concat([bytes('hello'), Buffer.alloc(3)]))
  })

  await t.test('a file that is open stays readable when it is renamed, replaced or deleted', async t => {
    const fd = files.open(file, 'read')
    const other = path.join(root, 'other')
    await files.writeFileAtomically(other, bytes('other'))
    files.rename(other, file)
    const buffer = Buffer.alloc(5)
    files.readSync(fd, buffer, 0)
    t.equal(buffer.toString('latin1'), 'hello')
    t.equal(files.readFileSync(file)?.toString('latin1'), 'other')
    await files.unlink(file)
    files.readSync(fd, buffer, 0)
    t.equal(buffer.toString('latin1'), 'hello')
    files.close(fd)
    t.equal(files.sizeOf(file), null)
  })

  await t.test('directories', async t => {
    const deep = path.join(root, 'x', 'y')
    await files.mkdir(deep)
    await files.mkdir(deep)
    await files.writeFileAtomically(path.join(deep, 'f'), bytes('1'))
    await files.writeFileAtomically(path.join(deep, 'f'), bytes('22'))
    t.same(await files.readdir(deep), ['f'])
    t.match(await files.stat(path.join(deep, 'f')), { sizeInBytes: 2, isDirectory: false })
    t.match(await files.stat(deep), { isDirectory: true })
    await files.syncDirectory(deep)
    files.rename(path.join(root, 'x'), path.join(root, 'z'))
    t.equal(files.readFileSync(path.join(root, 'z', 'y', 'f'))?.toString('latin1'), '22')
    await files.removeDirectory(path.join(root, 'z'))
    t.equal(await files.stat(path.join(root, 'z')), null)
    const usage = await files.diskUsage(root)
    t.ok(usage.freeBytes > 0 && usage.freeBytes <= usage.totalBytes)
  })

  await t.test('more syncs than threads all return', async t => {
    const fds = Array.from({ length: 20 }, (_, index) => files.open(path.join(root, `s${index}`), 'create'))
    for (const fd of fds) files.writev(fd, [bytes('x')], 0)
    await Promise.all(fds.map(fd => files.fdatasync(fd)))
    for (const fd of fds) files.close(fd)
    t.pass()
  })
}

test('the disk of the machine', async t => conforms(t, new NodeFiles(), t.testdir()))

test('the disk in memory', async t => {
  const files = new MemoryFiles()
  await files.mkdir('/root')
  await conforms(t, files, '/root')
})

test('the errors of the machine carry their cause', async t => {
  const files = new NodeFiles()
  const root = t.testdir({ file: 'x' })
  t.throws(() => files.open(path.join(root, 'file', 'below'), 'create'), { code: 'ERR_STORAGE', message: /ENOTDIR/ })
  t.throws(() => files.readSync(99_999, Buffer.alloc(1), 0), { code: 'ERR_STORAGE', cause: { code: 'EBADF' } })
  await t.rejects(files.fdatasync(99_999), { code: 'ERR_STORAGE' })
  await t.rejects(files.fdatasync(99_999, true), { code: 'ERR_STORAGE' })
  await t.rejects(files.read(99_999, Buffer.alloc(1), 0), { code: 'ERR_STORAGE' })
  t.throws(() => files.writev(99_999, [bytes('x')], 0), { code: 'ERR_STORAGE' })
  t.throws(() => files.ftruncate(99_999, 0), { code: 'ERR_STORAGE' })
  await t.rejects(files.readdir(path.join(root, 'file')), { code: 'ERR_STORAGE' })
})

const never = { below: () => 1 }

test('a crash drops what was not synced', async t => {
  const files = new MemoryFiles()
  await files.mkdir('/d')
  await files.syncDirectory('/')
  const fd = files.open('/d/f', 'create')
  files.writev(fd, [bytes('synced')], 0)
  await files.fdatasync(fd)
  await files.syncDirectory('/d')
  files.writev(fd, [bytes('lost')], 6)
  files.open('/d/new', 'create')
  const next = files.crash(never, 'drop')
  t.equal(next.readFileSync('/d/f')?.toString('latin1'), 'synced')
  t.equal(next.sizeOf('/d/new'), null)
  t.throws(() => files.open('/d/f', 'read'), /crashed/, 'the dead life does nothing any more')
})

test('a sync covers what was written before it began', async t => {
  const pending: (() => void)[] = []
  const files = new MemoryFiles({ later: complete => pending.push(complete) })
  const fd = files.open('/f', 'create')
  files.syncDirectory('/').catch(() => {})
  files.writev(fd, [bytes('one')], 0)
  files.fdatasync(fd).catch(() => {})
  files.writev(fd, [bytes('two')], 3)
  for (const complete of pending.splice(0)) complete()
  t.equal(files.crash(never, 'drop').readFileSync('/f')?.toString('latin1'), 'one')
})

test('a crash before a sync returned promises nothing', async t => {
  const pending: (() => void)[] = []
  const files = new MemoryFiles({ later: complete => pending.push(complete) })
  const fd = files.open('/f', 'create')
  files.writev(fd, [bytes('one')], 0)
  files.syncDirectory('/').catch(() => {})
  for (const complete of pending.splice(0)) complete()
  let returned = false
  files.fdatasync(fd).then(() => {
    returned = true
  }, never.below)
  const next = files.crash(never, 'drop')
  for (const complete of pending.splice(0)) complete()
  await Promise.resolve()
  t.equal(next.readFileSync('/f')?.length, 0)
  t.equal(returned, false)
})

test('a failed sync loses the pages for good, and a later one does not bring them back', async t => {
  const files = new MemoryFiles()
  const fd = files.open('/f', 'create')
  await files.syncDirectory('/')
  files.writev(fd, [bytes('one')], 0)
  files.inject({ operation: 'sync', path: '/f', code: 'EIO', times: 1 })
  await t.rejects(files.fdatasync(fd), { code: 'ERR_STORAGE' })
  t.equal(files.readFileSync('/f')?.toString('latin1'), 'one', 'the page cache still shows them')
  await files.fdatasync(fd)
  t.not(files.crash(never, 'keep').readFileSync('/f')?.toString('latin1'), 'one')
})

test('writes tear at sectors, and directories keep a first part of their changes', async t => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    let state = seed * 7919 + 1
    const dice = {
      below(limit: number) {
        state = (state * 1103515245 + 12345) % 2147483648
        return Math.floor((state / 2147483648) * limit)
      }
    }
    const files = new MemoryFiles()
    const fd = files.open('/f', 'create')
    await files.fdatasync(fd)
    await files.syncDirectory('/')
    files.writev(fd, [Buffer.alloc(1024, 'a')], 0)
    files.open('/g', 'create')
    files.open('/h', 'create')
    const next = files.crash(dice)
    const found = next.readFileSync('/f')
    const sectors = [found?.[0], found?.[512]].map(byte => byte ?? '-').join()
    seen.add(sectors)
    seen.add((await next.readdir('/')).sort().join())
  }
  t.ok(seen.has('0,97') && seen.has('97,0') && seen.has('97,97') && seen.has('0,0'), 'each sector by itself')
  t.ok(seen.has('f') && seen.has('f,g') && seen.has('f,g,h'))
  t.notOk(seen.has('f,h'), 'a later change never without an earlier one')
})

test('faults come when and where they are asked for', async t => {
  const files = new MemoryFiles({ totalBytes: 100 })
  const fd = files.open('/f', 'create')
  files.inject({ operation: 'write', path: '/f', code: 'EIO', times: 1, after: 1 })
  files.writev(fd, [bytes('ok')], 0)
  t.throws(() => files.writev(fd, [bytes('no')], 2), { code: 'ERR_STORAGE' })
  files.writev(fd, [bytes('ok')], 2)
  t.throws(() => files.writev(fd, [Buffer.alloc(200)], 4), { code: 'ERR_NO_SPACE' })
  files.inject({ operation: 'read', path: '/f', code: 'EIO' })
  await t.rejects(files.readFile('/f'), { code: 'ERR_STORAGE' })
  files.heal()
  t.ok(await files.readFile('/f'))
})
