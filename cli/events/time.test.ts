import test from 'ava';
import { parseTime } from './time.ts';

const now = Date.parse('2026-11-23T12:00:00.000Z');

const read = test.macro({
  exec(t, text: string, want: string) {
    const ms = parseTime(text, now);
    t.is(ms === undefined ? 'none' : new Date(ms).toISOString(), want);
  },
  title: (_, text) => `parseTime: '${text}'`,
});

test(read, '2026-11-23', '2026-11-23T00:00:00.000Z');
test(read, '2026-11-23T11:40', '2026-11-23T11:40:00.000Z');
test(read, '2026-11-23 11:40:42', '2026-11-23T11:40:42.000Z');
test(read, '2026-11-23T11:40:42.647Z', '2026-11-23T11:40:42.647Z');
test(read, '2026-11-23T11:40:42.647123456z', '2026-11-23T11:40:42.647Z');
test(read, '2026-11-23T11:40:42+01:30', '2026-11-23T10:10:42.000Z');
test(read, '2026-11-23T11:40:42-0800', '2026-11-23T19:40:42.000Z');
test(read, '2024-02-29', '2024-02-29T00:00:00.000Z');
test(read, '1790000000', '2026-09-21T14:13:20.000Z');
test(read, '1790000000.5', '2026-09-21T14:13:20.500Z');
test(read, '1790000000123', '2026-09-21T14:13:20.123Z');
test(read, '0', '1970-01-01T00:00:00.000Z');
test(read, '30s', '2026-11-23T11:59:30.000Z');
test(read, '10m', '2026-11-23T11:50:00.000Z');
test(read, '2h', '2026-11-23T10:00:00.000Z');
test(read, '1d', '2026-11-22T12:00:00.000Z');
test(read, '1w', '2026-11-16T12:00:00.000Z');
test(read, '2026-02-30', 'none');
test(read, '2026-13-01', 'none');
test(read, '2026-11-23T24:00', 'none');
test(read, '2026-11-23T11:60', 'none');
test(read, '2026-11-23T11:40:61Z', 'none');
test(read, '2026-11-23T11', 'none');
test(read, '2026-11-23T11:40+25:00', 'none');
test(read, '2026-11-23Z', 'none');
test(read, '-10m', 'none');
test(read, '10', '1970-01-01T00:00:10.000Z');
test(read, '10y', 'none');
test(read, 'yesterday', 'none');
test(read, '', 'none');
