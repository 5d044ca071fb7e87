// Quotas: windows over which rates are measured. Names, types, defaults and limits are Kafka's.
import { ignoredRows, int, LATER } from './setting.ts'

export const quotasSettings = ignoredRows(LATER.quotas, {
  'alter.log.dirs.replication.quota.window.num': int(11, 'Samples of the quota on moves between directories.', {
    min: 1
  }),
  'alter.log.dirs.replication.quota.window.size.seconds': int(1, 'Time of one such sample.', { min: 1 }),
  'controller.quota.window.num': int(11, 'Samples of the quota on controller mutations.', { min: 1 }),
  'controller.quota.window.size.seconds': int(1, 'Time of one such sample.', { min: 1 }),
  'quota.window.num': int(11, 'Samples of client quotas.', { min: 1 }),
  'quota.window.size.seconds': int(1, 'Time of one such sample.', { min: 1 }),
  'replication.quota.window.num': int(11, 'Samples of replication quotas.', { min: 1 }),
  'replication.quota.window.size.seconds': int(1, 'Time of one such sample.', { min: 1 })
})
