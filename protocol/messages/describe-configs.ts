// DescribeConfigs, API key 32. 1 adds synonyms (KIP-226), 3 types and documentation (KIP-569).

import { api, array, bool, i8, i16, i32, text } from '../schema.ts'

/** Lists settings of topics, brokers, groups and client metrics. */
export const describeConfigs = api({
  key: 32,
  name: 'DescribeConfigs',
  versions: [1, 4],
  flexibleFrom: 4,
  listeners: ['broker', 'controller'],
  request: {
    resources: array({
      resourceType: i8,
      resourceName: text,
      configurationKeys: array(text).orNull()
    }),
    includeSynonyms: bool,
    includeDocumentation: bool.since(3)
  },
  response: {
    throttleTimeMs: i32,
    results: array({
      errorCode: i16,
      errorMessage: text.orNull().default(null),
      resourceType: i8,
      resourceName: text,
      configs: array({
        name: text,
        value: text.orNull(),
        readOnly: bool,
        configSource: i8.default(-1),
        isSensitive: bool,
        synonyms: array({
          name: text,
          value: text.orNull(),
          source: i8
        }),
        configType: i8.since(3),
        documentation: text.since(3).orNull()
      })
    })
  }
})
