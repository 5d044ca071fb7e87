// Classic groups for the comparison with Apache Kafka: the life of a member, what each request answers at the wrong
// time, and offsets with and without a group.
import { deleteGroups } from '../../protocol/messages/delete-groups.ts'
import { describeGroups } from '../../protocol/messages/describe-groups.ts'
import { findCoordinator } from '../../protocol/messages/find-coordinator.ts'
import { heartbeat } from '../../protocol/messages/heartbeat.ts'
import { joinGroup } from '../../protocol/messages/join-group.ts'
import { leaveGroup } from '../../protocol/messages/leave-group.ts'
import { listGroups } from '../../protocol/messages/list-groups.ts'
import { offsetCommit } from '../../protocol/messages/offset-commit.ts'
import { offsetDelete } from '../../protocol/messages/offset-delete.ts'
import { offsetFetch } from '../../protocol/messages/offset-fetch.ts'
import { syncGroup } from '../../protocol/messages/sync-group.ts'
import type { Scenario, Stage } from './differential-stage.ts'
import { until } from './suite.ts'

const LOADING = [14, 15, 16]

/** Resolves when the coordinator of the group answers. */
async function coordinated(stage: Stage, word = 'g'): Promise<string> {
  const groupId = `${stage.tag}-${word}`
  await stage.ask(findCoordinator, 4, { keyType: 0, coordinatorKeys: [groupId] })
  await until('the coordinator is loaded', 20_000, async () => {
    const answer = await stage.ask(describeGroups, 5, { groups: [groupId] })
    return typeof answer !== 'string' && !LOADING.includes(answer.groups[0]?.errorCode ?? 0) ? true : undefined
  })
  return groupId
}

const protocols = [{ name: 'range', metadata: Buffer.from('0001', 'hex') }]

const joining = (groupId: string, more = {}) => ({
  groupId,
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 10_000,
  memberId: '',
  protocolType: 'consumer',
  protocols,
  ...more
})

/** Joins as the only member, and becomes stable. */
async function enter(stage: Stage, groupId: string, more = {}): Promise<{ memberId: string; generationId: number }> {
  let memberId = ''
  const first = await stage.ask(joinGroup, 7, joining(groupId, more))
  if (typeof first === 'string') throw new Error(first)
  memberId = first.memberId
  const joined = first.errorCode === 79 ? await stage.ask(joinGroup, 7, joining(groupId, { ...more, memberId })) : first
  if (typeof joined === 'string') throw new Error(joined)
  const { generationId } = joined
  const assignments = [{ memberId, assignment: Buffer.from('assigned') }]
  await stage.ask(syncGroup, 5, {
    groupId,
    generationId,
    memberId,
    protocolType: 'consumer',
    protocolName: 'range',
    assignments
  })
  return { memberId, generationId }
}

const leave = (stage: Stage, groupId: string, memberId: string) =>
  stage.ask(leaveGroup, 3, { groupId, members: [{ memberId }] })

const joinings: Scenario = {
  name: 'groups',
  api: joinGroup,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const join = (what: string, more = {}) => stage.call(what, joinGroup, version, joining(groupId, more))
    await join('no group id', { groupId: '' })
    await join('short session', { sessionTimeoutMs: 10 })
    await join('long session', { sessionTimeoutMs: 10_000_000 })
    await join('unknown member', { memberId: 'stranger' })
    await join('no protocols', { protocols: [] })
    await join('no protocol type', { protocolType: '' })
    const first = await join('first')
    const memberId = first?.memberId ?? ''
    const joined = first?.errorCode === 79 ? await join('with the id', { memberId }) : first
    const generationId = joined?.generationId ?? -1
    await join('again before the sync', { memberId })
    const state = () => stage.call('state', describeGroups, 5, { groups: [groupId] })
    await state()
    const assignments = [{ memberId, assignment: Buffer.from('x') }]
    await stage.call('sync', syncGroup, 0, { groupId, generationId, memberId, assignments })
    await state()
    await join('another protocol', { protocols: [{ name: 'other', metadata: Buffer.alloc(0) }] })
    await join('another type', { protocolType: 'connect' })
    await join('again', { memberId })
    await leave(stage, groupId, memberId)
    await state()
    if (version >= 5) await join('static', { groupInstanceId: 'one' })
    if (version >= 5) await join('static again, as another member', { groupInstanceId: 'one', memberId: 'stranger' })
    if (version >= 5) await state()
  }
}

const syncing: Scenario = {
  name: 'groups',
  api: syncGroup,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const first = await stage.ask(joinGroup, 3, joining(groupId))
    if (typeof first === 'string') throw new Error(first)
    const { memberId, generationId } = first
    const names = version >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : {}
    const sync = (what: string, more = {}) =>
      stage.call(what, syncGroup, version, { groupId, generationId, memberId, ...names, assignments: [], ...more })
    await sync('wrong generation', { generationId: generationId + 1 })
    await sync('unknown member', { memberId: 'stranger' })
    await sync('unknown group', { groupId: `${groupId}-missing` })
    await sync('no group', { groupId: '' })
    if (version >= 5) await sync('another protocol', { protocolName: 'other' })
    if (version >= 5) await sync('no protocol', { protocolName: null })
    await sync('leader', { assignments: [{ memberId, assignment: Buffer.from('all') }] })
    await sync('again', { assignments: [{ memberId, assignment: Buffer.from('other') }] })
    await stage.call('state', describeGroups, 5, { groups: [groupId] })
    await leave(stage, groupId, memberId)
    await sync('left')
  }
}

const beating: Scenario = {
  name: 'groups',
  api: heartbeat,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const beat = (what: string, request: object) =>
      stage.call(what, heartbeat, version, { groupId, generationId: 1, memberId: 'm', ...request })
    await beat('unknown group', {})
    await beat('no group', { groupId: '' })
    const { memberId, generationId } = await enter(stage, groupId)
    await beat('good', { memberId, generationId })
    await beat('wrong generation', { memberId, generationId: generationId + 1 })
    await beat('unknown member', { generationId })
    if (version >= 3) await beat('unknown instance', { memberId, generationId, groupInstanceId: 'x' })
    await leave(stage, groupId, memberId)
    await beat('left', { memberId, generationId })
  }
}

const leaving: Scenario = {
  name: 'groups',
  api: leaveGroup,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const go = (what: string, memberId: string, more = {}) =>
      stage.call(what, leaveGroup, version, { groupId, memberId, members: [{ memberId }], ...more })
    await go('unknown group', 'm')
    await go('no group', 'm', { groupId: '' })
    const { memberId } = await enter(stage, groupId)
    await go('unknown member', 'stranger')
    await go('good', memberId)
    await go('again', memberId)
    if (version < 3) return
    const instance = await enter(stage, groupId, { groupInstanceId: 'one' })
    await go('unknown instance', '', { members: [{ memberId: '', groupInstanceId: 'two' }] })
    await go('fenced instance', '', { members: [{ memberId: 'x', groupInstanceId: 'one' }] })
    await go('instance', '', { members: [{ memberId: '', groupInstanceId: 'one' }, { memberId: instance.memberId }] })
    await stage.call('state', describeGroups, 5, { groups: [groupId] })
  }
}

const committing: Scenario = {
  name: 'groups',
  api: offsetCommit,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const name = `${stage.tag}-t`
    const topicId = await stage.createTopic(name, 2)
    const partition = (partitionIndex: number, more = {}) => ({
      partitionIndex,
      committedOffset: 5,
      committedMetadata: 'note',
      ...more
    })
    const commit = (what: string, partitions: object[], more = {}) =>
      stage.call(what, offsetCommit, version, { groupId, topics: [{ name, topicId, partitions }], ...more })
    await commit('simple', [partition(0), partition(1, { committedOffset: 7, committedMetadata: null })])
    await commit('no group', [partition(0)], { groupId: '' })
    await commit('unknown member', [partition(0)], { memberId: 'stranger', generationIdOrMemberEpoch: 1 })
    await commit('generation alone', [partition(0)], { generationIdOrMemberEpoch: 3 })
    await commit('long metadata', [partition(0, { committedMetadata: 'x'.repeat(5000) })])
    await commit('unknown partition', [partition(9)])
    await commit('negative offset', [partition(0, { committedOffset: -5 })])
    const nowhere = [{ name: `${name}-missing`, topicId: 'EREREREREREREREREREREQ', partitions: [partition(0)] }]
    await commit('unknown topic', [], { topics: nowhere })
    await commit('nothing', [], { topics: [] })
    const { memberId, generationId } = await enter(stage, groupId)
    await commit('simple, into a group with members', [partition(0)])
    await commit('member', [partition(0, { committedOffset: 9 })], {
      memberId,
      generationIdOrMemberEpoch: generationId
    })
    await commit('wrong generation', [partition(0)], { memberId, generationIdOrMemberEpoch: generationId + 1 })
    if (version >= 7) {
      await commit('unknown instance', [partition(0)], {
        memberId,
        generationIdOrMemberEpoch: generationId,
        groupInstanceId: 'x'
      })
    }
    await stage.call('after', offsetFetch, 7, { groupId, topics: null })
    await leave(stage, groupId, memberId)
  }
}

const fetchings: Scenario = {
  name: 'groups',
  api: offsetFetch,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const name = `${stage.tag}-t`
    const topicId = await stage.createTopic(name, 2)
    const partitions = [{ partitionIndex: 0, committedOffset: 5, committedMetadata: 'note', committedLeaderEpoch: 0 }]
    await stage.ask(offsetCommit, 8, { groupId, topics: [{ name, partitions }] })
    const get = (what: string, topics: object[] | null, group = groupId, more = {}) =>
      stage.call(what, offsetFetch, version, { groupId: group, topics, groups: [{ groupId: group, topics, ...more }] })
    const topic = (partitionIndexes: number[]) => [{ name, topicId, partitionIndexes }]
    await get('one', topic([0]))
    await get('uncommitted', topic([0, 1, 9]))
    await get('unknown topic', [{ name: `${name}-missing`, topicId: 'EREREREREREREREREREREQ', partitionIndexes: [0] }])
    await get('unknown group', topic([0]), `${groupId}-missing`)
    await get('no group', topic([0]), '')
    if (version >= 2) await get('all', null)
    if (version >= 2) await get('all of an unknown group', null, `${groupId}-missing`)
    await get('nothing', [])
    if (version < 8) return
    const groups = [groupId, `${groupId}-missing`].map(group => ({ groupId: group, topics: null }))
    await stage.call('two groups', offsetFetch, version, { groups })
    if (version >= 9) await get('as a member that is none', topic([0]), groupId, { memberId: 'x', memberEpoch: 1 })
  }
}

const forgetting: Scenario = {
  name: 'groups',
  api: offsetDelete,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const name = `${stage.tag}-t`
    await stage.createTopic(name, 2)
    const partitions = [0, 1].map(partitionIndex => ({ partitionIndex, committedOffset: 5, committedMetadata: '' }))
    await stage.ask(offsetCommit, 8, { groupId, topics: [{ name, partitions }] })
    const forget = (what: string, group: string, topic: string, index: number) =>
      stage.call(what, offsetDelete, version, {
        groupId: group,
        topics: [{ name: topic, partitions: [{ partitionIndex: index }] }]
      })
    await forget('one', groupId, name, 0)
    await forget('again', groupId, name, 0)
    await forget('unknown partition', groupId, name, 9)
    await forget('unknown topic', groupId, `${name}-missing`, 0)
    await forget('unknown group', `${groupId}-missing`, name, 0)
    await forget('no group', '', name, 0)
    await stage.call('after', offsetFetch, 7, { groupId, topics: null })
    const { memberId } = await enter(stage, groupId)
    await forget('of a group with members', groupId, name, 1)
    await leave(stage, groupId, memberId)
  }
}

const describing: Scenario = {
  name: 'groups',
  api: describeGroups,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const ask = (what: string, more = {}) => stage.call(what, describeGroups, version, { groups: [groupId], ...more })
    await ask('unknown')
    await ask('no name', { groups: [''] })
    const { memberId } = await enter(stage, groupId)
    await ask('stable')
    if (version >= 3) await ask('operations', { includeAuthorizedOperations: true })
    await leave(stage, groupId, memberId)
    await ask('empty')
  }
}

const listing: Scenario = {
  name: 'groups',
  api: listGroups,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const ask = async (what: string, more = {}) => {
      const answer = await stage.ask(listGroups, version, more)
      if (typeof answer === 'string') throw new Error(answer)
      stage.answers.push({ step: what, answer: answer.groups.filter(group => group.groupId === groupId) })
    }
    const { memberId } = await enter(stage, groupId)
    await ask('all')
    if (version >= 4)
      for (const state of ['Stable', 'stable', 'Empty', 'Wrong']) await ask(`state ${state}`, { statesFilter: [state] })
    if (version >= 5)
      for (const type of ['classic', 'Classic', 'consumer']) await ask(`type ${type}`, { typesFilter: [type] })
    await leave(stage, groupId, memberId)
    await ask('empty')
  }
}

const deleting: Scenario = {
  name: 'groups',
  api: deleteGroups,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const remove = (what: string, groupsNames: string[]) => stage.call(what, deleteGroups, version, { groupsNames })
    await remove('unknown', [`${groupId}-missing`])
    await remove('no name', [''])
    const { memberId } = await enter(stage, groupId)
    await remove('with members', [groupId])
    await leave(stage, groupId, memberId)
    await remove('empty', [groupId])
    await remove('again', [groupId])
    await stage.call('state', describeGroups, 5, { groups: [groupId] })
  }
}

const finding: Scenario = {
  name: 'groups',
  api: findCoordinator,
  async play(stage, version) {
    const groupId = await coordinated(stage)
    const find = (what: string, key: string, more = {}) =>
      stage.call(what, findCoordinator, version, { key, coordinatorKeys: [key], keyType: 0, ...more })
    await find('a group', groupId)
    await find('no name', '')
    if (version >= 1) await find('an unknown type', 'x', { keyType: 9 })
    if (version >= 4) await find('two', groupId, { coordinatorKeys: [groupId, `${groupId}-2`] })
    if (version >= 4) await find('none', groupId, { coordinatorKeys: [] })
  }
}

export const groupScenarios = [
  finding,
  joinings,
  syncing,
  beating,
  leaving,
  committing,
  fetchings,
  forgetting,
  describing,
  listing,
  deleting
]
