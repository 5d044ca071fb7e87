// Every story of the group coordinator in test/stories/groups-*.txt is told again and must go as written.
import { readdirSync } from 'node:fs'
import { test } from 'tap'
import { runStory } from './story.ts'

for (const name of readdirSync('test/stories').filter(each => each.startsWith('groups-'))) {
  test(name, async t => {
    const { expected, actual } = await runStory(`test/stories/${name}`)
    t.equal(actual, expected)
  })
}
