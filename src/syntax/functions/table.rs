//! The one table of filters, tests and functions: it drives the checks at compile time, the calls and the reference
//! page. Knows nothing of what each of them does.

use crate::syntax::{checks, filters, format, patterns, places, sequences, times, versions};

use super::{FunctionDoc, FunctionKind};

macro_rules! table {
    ($($kind:ident $name:literal $(or $($alias:literal),+)? : $signature:literal, $summary:literal, $example:literal => $gives:literal, $wrong:literal => $says:literal, $run:path;)*) => {
        &[$(FunctionDoc {
            kind: FunctionKind::$kind,
            name: $name,
            aliases: &[$($($alias),+)?],
            signature: $signature,
            summary: $summary,
            example: $example,
            gives: $gives,
            wrong: $wrong,
            says: $says,
            run: $run,
        }),*]
    };
}

pub(super) static TABLE: &[FunctionDoc] = table! {
    Filter "abs": "abs", "the number without its sign", "-3|abs" => "3", "'-3'|abs" => "the filter `abs` needs a number, this is a string (convert with `|int`: `'-3'|int`)", filters::abs;
    Filter "attr": "attr(name, default=none)", "the entry of a map under a name that is worked out, or the default where it has none", "{'a': 1}|attr('b', 0)" => "0", "{'host': 1}|attr('hots')" => "this has no `hots` (did you mean `host`?)", sequences::attr;
    Filter "b64decode": "b64decode(urlsafe=false)", "the text that a base64 text stands for, blanks and line ends left out; with `urlsafe` the alphabet of URLs and tokens, padded or not; fails on anything else, and on what is not UTF-8", "'aGk='|b64decode" => "hi", "'aGk?'|b64decode" => "`aGk?` is no base64: `?` is not one of its characters", filters::b64decode;
    Filter "b64encode": "b64encode(urlsafe=false)", "the text in base64, on one line; with `urlsafe` in the alphabet of URLs and tokens, without padding", "'hi'|b64encode" => "aGk=", "7|b64encode" => "the filter `b64encode` needs a string, this is a number (convert with `|string`: `7|string`)", filters::b64encode;
    Filter "basename": "basename", "the last part of a path or an address", "'/var/log/app.log'|basename" => "app.log", "'/'|basename" => "`/` has no last part", places::basename;
    Filter "batch": "batch(count, fill=none)", "the list in lists of so many items", "[1, 2, 3]|batch(2)" => "[[1,2],[3]]", "[1, 2]|batch(0)" => "the count must be at least 1", sequences::batch;
    Filter "bool": "bool", "the texts `true` and `false` as a boolean; fails on any other", "'true'|bool" => "true", "'yes'|bool" => "`yes` is not `true` or `false`", filters::bool;
    Filter "capitalize": "capitalize", "the first letter large, the others small", "'hELLO'|capitalize" => "Hello", "7|capitalize" => "the filter `capitalize` needs a string, this is a number (convert with `|string`: `7|string`)", filters::capitalize;
    Filter "chain": "chain(*lists)", "the lists one after the other", "[1]|chain([2], [3])" => "[1,2,3]", "[1]|chain('ab')" => "every argument must be a list, one is a string", sequences::chain;
    Filter "default" or "d": "default(value=\"\", lax=false)", "the value, or another where there is none; with `true` also for none, false, 0 and what is empty", "{}.a|default('x')" => "x", "nope|default('x')" => "there is no `nope` here", filters::default;
    Filter "dictsort": "dictsort(case_sensitive=false, by=\"key\", reverse=false)", "the pairs of a map, sorted", "{'b': 1, 'a': 2}|dictsort" => "[[\"a\",2],[\"b\",1]]", "{'a': 1}|dictsort(by='size')" => "`by` of the filter `dictsort` is `key` or `value`, not `size`", sequences::dictsort;
    Filter "dirname": "dirname", "a path without its last part; `.` where it has only one", "'/var/log/app.log'|dirname" => "/var/log", "['a/b']|dirname" => "the filter `dirname` needs a string, this is a list (put it over each item: `|map(\"dirname\")`, or make one text first: `|join(\" \")`)", places::dirname;
    Filter "duration": "duration", "the duration that a text such as `1h30m` says", "'90m'|duration" => "1h30m", "'90'|duration" => "90 has no unit; write 90s for seconds or 90m for minutes", filters::duration;
    Filter "earlier": "earlier(duration)", "the moment so long before, in UTC", "'2024-05-01T12:00:00Z'|earlier('7d')" => "2024-04-24T12:00:00Z", "'2024-05-01T12:00:00Z'|earlier(90)" => "a duration is needed here, this is a number (write one such as \"30s\" or \"1h30m\")", times::earlier;
    Filter "epoch": "epoch", "the seconds since 1970 of a moment", "'2024-05-01T12:00:00Z'|epoch" => "1714564800", "'yesterday'|epoch" => "`yesterday` is no moment (write one such as 2024-05-01T12:00:00Z, or read other forms with `|to_datetime(format)`)", times::epoch;
    Filter "first": "first", "the first item or character", "[7, 8]|first" => "7", "[]|first" => "the filter `first` has nothing to give, this is empty (say what to take then: `[]|first|default(…)`)", sequences::first;
    Filter "float": "float(default=none)", "the number that a text says; fails on any other text, unless there is a default", "'1.5'|float" => "1.5", "'1,5'|float" => "`1,5` is not a number", filters::float;
    Filter "format": "format(*values, **named)", "the text with `%s`, `%d`, `%5.2f`, `%x` replaced in turn", "'%03d-%s'|format(7, 'a')" => "007-a", "'%d'|format('x')" => "`%d` needs a number, this is a string", format::format;
    Filter "fromjson": "fromjson", "what a JSON text says; ask for what may be missing with `default`: `(x|fromjson).a|default(none)`", "'{\"a\": [1]}'|fromjson" => "{\"a\":[1]}", "'{a: 1}'|fromjson" => "`{a: 1}` is no JSON: key must be a string at line 1 column 2", filters::fromjson;
    Filter "groupby": "groupby(attribute)", "pairs of a value and the items that have it", "[{'k': 1}, {'k': 1}]|groupby('k')" => "[[1,[{\"k\":1},{\"k\":1}]]]", "[{'k': 1}]|groupby('key')" => "an item has no `key` (it has k)", sequences::groupby;
    Filter "indent": "indent(width=4, first=false, blank=false)", "every line after the first moved to the right", "'a\nb'|indent(2)" => "a\n  b", "'a'|indent(5000)" => "`width` of the filter `indent` must lie between 0 and 1000, this is 5000", filters::indent;
    Filter "int": "int(default=none)", "the whole number that a text says, or a number without its fraction; fails on any other text, unless there is a default", "'42'|int" => "42", "'4.2'|int" => "`4.2` is not a whole number (read it as a number: `'4.2'|float`)", filters::int;
    Filter "items": "items", "the pairs of a map", "{'a': 1}|items" => "[[\"a\",1]]", "[1]|items" => "the filter `items` needs a map, this is a list", sequences::items;
    Filter "join": "join(separator=\"\", attribute=none)", "the items as one text", "['a', 1]|join(', ')" => "a, 1", "['a', none]|join(', ')" => "the item at position 1 is none", sequences::join;
    Filter "keys": "keys", "the keys of a map", "{'a': 1}|keys" => "[\"a\"]", "'a'|keys" => "the filter `keys` needs a map, this is a string", sequences::keys;
    Filter "last": "last", "the last item or character", "[7, 8]|last" => "8", "''|last" => "the filter `last` has nothing to give, this is empty (say what to take then: `''|last|default(…)`)", sequences::last;
    Filter "later": "later(duration)", "the moment so long after, in UTC", "'2024-05-01T12:00:00Z'|later('1h30m')" => "2024-05-01T13:30:00Z", "'2024-05-01T12:00:00Z'|later('-1h')" => "a duration cannot be negative; write 1h", times::later;
    Filter "length" or "count": "length", "how many characters, items or entries", "'abc'|length" => "3", "5|length" => "the filter `length` needs a string, a list or a map, this is a number", sequences::length;
    Filter "lines": "lines", "the lines of a text, without their ends", "'a\nb\n'|lines" => "[\"a\",\"b\"]", "['a', 'b']|lines" => "the filter `lines` needs a string, this is a list (put it over each item: `|map(\"lines\")`, or make one text first: `|join(\" \")`)", filters::lines;
    Filter "list": "list", "the characters of a text, the keys of a map, or the list itself", "'ab'|list" => "[\"a\",\"b\"]", "5|list" => "the filter `list` needs a list, this is a number", sequences::list_filter;
    Filter "lower": "lower", "the text in small letters", "'AB'|lower" => "ab", "none|lower" => "the filter `lower` needs a string, this is none (give it a value: `none|default(…, true)`)", filters::lower;
    Filter "map": "map(filter=none, *arguments, attribute=none, default=none)", "each item through a filter, or one attribute of each", "[{'a': 1}]|map(attribute='a')" => "[1]", "[{'a': 1}]|map(attribute='b')" => "an item has no `b` (it has a)", sequences::map;
    Filter "max": "max(attribute=none)", "the largest item", "[1, 3, 2]|max" => "3", "[1, 'a']|max" => "a number and a string have no order", sequences::max;
    Filter "min": "min(attribute=none)", "the smallest item", "[1, 3, 2]|min" => "1", "[]|min" => "the filter `min` has nothing to give, this is empty (say what to take then: `[]|min|default(…)`)", sequences::min;
    Filter "path": "path", "a path for a URL: `/` stays, the rest is encoded; refuses `..` and empty segments", "'job/a b'|path" => "job/a%20b", "'a/../b'|path" => "the path `a/../b` holds `..`, which would leave its place", filters::path;
    Filter "pprint": "pprint", "the value as indented JSON", "[1]|pprint" => "[\n  1\n]", "nope|pprint" => "there is no `nope` here", filters::pprint;
    Filter "regex_escape": "regex_escape", "the text as a regular expression that matches it and nothing else", "'v1.2'|regex_escape" => "v1\\.2", "5|regex_escape" => "the filter `regex_escape` needs a string, this is a number (convert with `|string`: `5|string`)", places::regex_escape;
    Filter "regex_find": "regex_find(re)", "the first group, or the whole, of the first match anywhere; none without a match", "'host db3'|regex_find('host (\\\\S+)')" => "db3", "'a'|regex_find('(a')" => "this is no regular expression: unclosed group", patterns::regex_find;
    Filter "regex_findall": "regex_findall(re)", "the first group, or the whole, of every match", "'a1b2'|regex_findall('[0-9]')" => "[\"1\",\"2\"]", "['a']|regex_findall('a')" => "the filter `regex_findall` needs a string, this is a list (put it over each item: `|map(\"regex_findall\", …)`, or make one text first: `|join(\" \")`)", patterns::regex_findall;
    Filter "regex_replace": "regex_replace(re, new)", "every match replaced; `$1` or `${1}` is the first group, `$name` one with a name, `$$` a dollar", "'v1.2'|regex_replace('^v', '')" => "1.2", "'v1'|regex_replace('v([0-9])', '$1st')" => "the regular expression has no group `1st` (the group and the text behind it: `${1}st`)", patterns::regex_replace;
    Filter "reject": "reject(test=none, *arguments)", "the items that do not pass a test", "[1, 2]|reject('odd')" => "[2]", "[1]|reject('od')" => "there is no test `od` (did you mean `odd`?)", sequences::reject;
    Filter "rejectattr": "rejectattr(attribute, test=none, *arguments)", "the items whose attribute does not pass a test", "[{'a': true}, {'a': false}]|rejectattr('a')" => "[{\"a\":false}]", "[{'b': true}]|rejectattr('a')" => "an item has no `a` (it has b)", sequences::rejectattr;
    Filter "replace": "replace(old, new, count=none)", "every occurrence replaced", "'a-b'|replace('-', '_')" => "a_b", "'abc'|replace('', '-')" => "an empty text cannot be replaced", filters::replace;
    Filter "reverse": "reverse", "the list or text backwards", "[1, 2]|reverse" => "[2,1]", "5|reverse" => "the filter `reverse` needs a list, this is a number", sequences::reverse;
    Filter "round": "round(digits=0, method=\"common\")", "rounded; the method is common, floor or ceil", "2.567|round(1)" => "2.6", "2.5|round(method='up')" => "there is no rounding method `up` (common, floor or ceil)", filters::round;
    Filter "seconds": "seconds", "a duration, or the text of one, as a number of seconds", "'1m30s'|seconds" => "90", "'1:30'|seconds" => "`1:30` is no duration; write one such as 500ms, 30s, 5m, 2h, 7d or 1h30m", filters::seconds;
    Filter "seconds_since": "seconds_since(earlier)", "the seconds from another moment to this one; negative if this one is earlier", "'2024-05-01T12:00:00Z'|seconds_since('2024-05-01T13:59:30+02:00')" => "30", "'2024-05-01T12:00:00Z'|seconds_since('11:59')" => "`11:59` is no moment (write one such as 2024-05-01T12:00:00Z, or read other forms with `|to_datetime(format)`)", times::seconds_since;
    Filter "select": "select(test=none, *arguments)", "the items that pass a test", "[1, 2]|select('even')" => "[2]", "[1, 0]|select" => "without a test each item must be true or false, this is a number (ask something about it: `value != 0`)", sequences::select;
    Filter "selectattr": "selectattr(attribute, test=none, *arguments)", "the items whose attribute passes a test", "[{'a': 1}, {'a': 2}]|selectattr('a', 'eq', 2)" => "[{\"a\":2}]", "[{'a': 1}]|selectattr('a', 'eq', '1')" => "a number is compared with a string (convert with `|int`: `value|int`)", sequences::selectattr;
    Filter "sha256": "sha256", "the SHA-256 of the text's UTF-8 bytes, in hex", "'a'|sha256" => "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", "['a']|sha256" => "the filter `sha256` needs a string, this is a list (put it over each item: `|map(\"sha256\")`, or make one text first: `|join(\" \")`)", filters::sha256;
    Filter "shell_quote": "shell_quote", "the text as one word of a shell, quoted where needed", "\"it's\"|shell_quote" => "'it'\\''s'", "['a b']|shell_quote" => "the filter `shell_quote` needs a string, this is a list (put it over each item: `|map(\"shell_quote\")`, or make one text first: `|join(\" \")`)", filters::shell_quote;
    Filter "slice": "slice(count, fill=none)", "the list in so many lists", "[1, 2, 3]|slice(2)" => "[[1,2],[3]]", "[1]|slice(-1)" => "`count` of the filter `slice` must lie between 0 and 100000, this is -1", sequences::slice;
    Filter "sort": "sort(reverse=false, case_sensitive=false, attribute=none)", "the list in order; its items must be of one type", "[2, 1]|sort" => "[1,2]", "[1, 'a']|sort" => "a number and a string have no order", sequences::sort;
    Filter "split": "split(separator=none, count=none)", "the parts between separators, or between blanks", "'a,b'|split(',')" => "[\"a\",\"b\"]", "'a'|split('')" => "the separator cannot be empty", filters::split;
    Filter "strftime": "strftime(format, zone=\"UTC\")", "the moment as a text; the zone is a name or an offset", "'2024-05-01T12:00:00Z'|strftime('%Y-%m-%d %H:%M', 'Europe/Berlin')" => "2024-05-01 14:00", "'2024-05-01T12:00:00Z'|strftime('%H:%M', 'Berlin')" => "there is no time zone `Berlin` (did you mean `Europe/Berlin`?)", times::strftime;
    Filter "string": "string", "the value as a text", "5|string" => "5", "none|string" => "`none` is none (give it a text: `none|default(\"…\", true)`)", filters::string;
    Filter "sum": "sum(attribute=none, start=0)", "the numbers or durations added up", "[1, 2]|sum" => "3", "['1', '2']|sum" => "the filter `sum` needs numbers, an item is a string (convert them: `|map(\"int\")|sum`)", sequences::sum;
    Filter "title": "title", "every word with a large first letter", "'a bc'|title" => "A Bc", "5|title" => "the filter `title` needs a string, this is a number (convert with `|string`: `5|string`)", filters::title;
    Filter "to_datetime": "to_datetime(format=none, zone=none)", "the moment that a text or a number of seconds since 1970 tells, as RFC 3339 in UTC; without a format, RFC 3339 and the dates of mails and HTTP are read; the zone is for texts without an offset", "'01.05.2024 14:00'|to_datetime('%d.%m.%Y %H:%M', 'Europe/Berlin')" => "2024-05-01T12:00:00Z", "'2024-05-01 12:00'|to_datetime" => "`2024-05-01 12:00` does not say its offset from UTC (say which zone it is in: `'2024-05-01 12:00'|to_datetime(zone=\"UTC\")`)", times::to_datetime;
    Filter "tojson": "tojson(indent=none)", "the value as JSON on one line, or with so many blanks a level; durations as their text", "{'a': none}|tojson" => "{\"a\":null}", "[1]|tojson(indent=99)" => "`indent` of the filter `tojson` must lie between 0 and 16, this is 99", filters::tojson;
    Filter "trim": "trim(chars=none)", "without blanks, or the given characters, at both ends", "' a '|trim" => "a", "5|trim" => "the filter `trim` needs a string, this is a number (convert with `|string`: `5|string`)", filters::trim;
    Filter "truncate": "truncate(length=255, end=\"…\")", "at most so many characters", "'abcdef'|truncate(4)" => "abc…", "'abc'|truncate(-1)" => "`length` of the filter `truncate` must lie between 0 and 16777216, this is -1", filters::truncate;
    Filter "unique": "unique(case_sensitive=false, attribute=none)", "every item once", "[1, 2, 1]|unique" => "[1,2]", "[{'a': 1}]|unique(attribute='b')" => "an item has no `b` (it has a)", sequences::unique;
    Filter "upper": "upper", "the text in large letters", "'ab'|upper" => "AB", "{'a': 1}.b|upper" => "`{'a': 1}` has no `b` (it has a)", filters::upper;
    Filter "urldecode": "urldecode", "a percent-encoded text as it was; `+` stays", "'a%20b%26c'|urldecode" => "a b&c", "'50%'|urldecode" => "`50%` holds a `%` without two hex digits behind it (a percent sign itself is written `%25` there)", places::urldecode;
    Filter "urlencode": "urlencode", "percent-encoded, `/` kept; a map becomes `a=1&b=2`", "'a b&c'|urlencode" => "a%20b%26c", "['a']|urlencode" => "the filter `urlencode` needs a string, this is a list (put it over each item: `|map(\"urlencode\")`, or make one text first: `|join(\" \")`)", filters::urlencode;
    Filter "values": "values", "the values of a map", "{'a': 1}|values" => "[1]", "['a']|values" => "the filter `values` needs a map, this is a list", sequences::values;
    Filter "version_sort": "version_sort(reverse=false)", "the versions in their order, as `version_compare` has it", "['v1.10', 'v1.9', 'v1.10-rc1']|version_sort" => "[\"v1.9\",\"v1.10-rc1\",\"v1.10\"]", "['1.0', 'latest']|version_sort" => "`latest` is no version: part 1 of it is no number (write one such as 1.2.3, v2 or 1.0-rc.1)", versions::version_sort;
    Filter "zip": "zip(*lists)", "lists of the items at each position, up to the shortest", "[1, 2]|zip(['a', 'b'])" => "[[1,\"a\"],[2,\"b\"]]", "[1]|zip(5)" => "every argument must be a list, one is a number", sequences::zip;
    Function "dict": "dict(**entries)", "a map of the named arguments", "dict(a=1)" => "{\"a\":1}", "dict('a')" => "this argument is one too many (it is used as `dict(**entries)`)", sequences::dict;
    Function "range": "range(start, stop=none, step=1)", "whole numbers from start up to, without, stop; from 0 with one argument", "range(3)" => "[0,1,2]", "range('3')" => "`range` needs whole numbers, this is a string", sequences::range;
    Function "version_compare": "version_compare(a, b)", "-1, 0 or 1: is a older than b, as new, or newer? Dotted numbers, a leading `v` counts for nothing, missing numbers are 0, a pre-release (`-rc.1`) comes before its release as in SemVer, `+build` counts for nothing", "version_compare('v1.9', '1.10.0')" => "-1", "version_compare('1.9', 1.10)" => "a version is a string, this is a number (put it in quotes: as a number 1.10 is 1.1)", versions::version_compare;
    Test "after": "after(other)", "is the moment later than another?", "'2024-05-01T12:00:00Z' is after('2024-05-01T12:00:00+02:00')" => "true", "'2024-05-01T12:00:00Z' is after('noon')" => "`noon` is no moment (write one such as 2024-05-01T12:00:00Z, or read other forms with `|to_datetime(format)`)", times::after;
    Test "before": "before(other)", "is the moment earlier than another?", "'2024-05-01T12:00:00Z' is before('2024-05-02T00:00:00Z')" => "true", "'2024-05-01 12:00' is before('2024-05-02T00:00:00Z')" => "`2024-05-01 12:00` does not say its offset from UTC (say which zone it is in: `'2024-05-01 12:00'|to_datetime(zone=\"UTC\")`)", times::before;
    Test "boolean": "boolean", "is it true or false?", "1 is boolean" => "false", "nope is boolean" => "there is no `nope` here", checks::boolean;
    Test "containing": "containing(item)", "is the item in the list, the key in the map, the part in the text?", "'abc' is containing('b')" => "true", "'v3' is containing(3)" => "only a string can be in a string, this is a number (convert with `|string`: `value|string`)", checks::containing;
    Test "defined": "defined", "does it have a value?", "{}.a is defined" => "false", "nope is defined" => "there is no `nope` here", checks::defined;
    Test "divisibleby": "divisibleby(number)", "is nothing left after dividing?", "9 is divisibleby(3)" => "true", "9 is divisibleby(0)" => "division by zero", checks::divisibleby;
    Test "duration": "duration", "is it a duration?", "1 is duration" => "false", "{}.a is duration" => "`{}` has no `a` (it is empty)", checks::duration;
    Test "empty": "empty", "is the text, list or map empty?", "'' is empty" => "true", "0 is empty" => "the test `empty` needs a string, a list or a map, this is a number", checks::empty;
    Test "endingwith": "endingwith(part)", "does the text end so?", "'a.txt' is endingwith('.txt')" => "true", "5 is endingwith('5')" => "the test `endingwith` needs a string, this is a number (convert with `|string`: `5|string`)", checks::endingwith;
    Test "eq" or "equalto", "sameas": "eq(other)", "as `==`", "[1, 2]|select('eq', 2)" => "[2]", "1 is eq('1')" => "a number is compared with a string (convert with `|int`: `value|int`)", checks::eq;
    Test "even": "even", "is it divisible by two?", "2 is even" => "true", "'2' is even" => "the test `even` needs a whole number, this is a string", checks::even;
    Test "false": "false", "is it the boolean false?", "false is false" => "true", "nope is false" => "there is no `nope` here", checks::r#false;
    Test "float": "float", "is it a number with a fraction?", "1.5 is float" => "true", "{}.a is float" => "`{}` has no `a` (it is empty)", checks::float;
    Test "ge": "ge(other)", "as `>=`", "2 is ge(2)" => "true", "'2' is ge(1)" => "`>=` needs two numbers, this is a string (convert with `|int`: `'2'|int`)", checks::ge;
    Test "gt" or "greaterthan": "gt(other)", "as `>`", "2 is gt(2)" => "false", "'b' is gt('a')" => "`>` needs two numbers, this is a string (convert with `|int`: `'b'|int`)", checks::gt;
    Test "in": "in(container)", "as the operator `in`", "1 is in([1])" => "true", "1 is in(5)" => "`in` needs a list, a map or a string, this is a number", checks::is_in;
    Test "integer" or "int": "integer", "is it a whole number?", "1 is integer" => "true", "{}.a is integer" => "`{}` has no `a` (it is empty)", checks::integer;
    Test "iterable": "iterable", "is it a list or a map?", "[] is iterable" => "true", "{}.a is iterable" => "`{}` has no `a` (it is empty)", checks::iterable;
    Test "le": "le(other)", "as `<=`", "2 is le(2)" => "true", "none is le(1)" => "`<=` needs two numbers, this is none (give it a value: `none|default(0, true)`)", checks::le;
    Test "lower": "lower", "is the text in small letters?", "'ab' is lower" => "true", "5 is lower" => "the test `lower` needs a string, this is a number (convert with `|string`: `5|string`)", checks::lower;
    Test "lt" or "lessthan": "lt(other)", "as `<`", "1 is lt(2)" => "true", "[1] is lt(2)" => "`<` needs two numbers, this is a list (compare its length: `[1]|length`)", checks::lt;
    Test "mapping": "mapping", "is it a map?", "{} is mapping" => "true", "{}.a is mapping" => "`{}` has no `a` (it is empty)", checks::mapping;
    Test "matches": "matches(re)", "does the regular expression match anywhere? `^…$` for the whole", "'v3.20' is matches('^v[0-9]+')" => "true", "'a' is matches('[')" => "this is no regular expression: unclosed character class", checks::matches;
    Test "ne": "ne(other)", "as `!=`", "1 is ne(2)" => "true", "1 is ne(true)" => "a number is compared with a boolean (convert one side first)", checks::ne;
    Test "none": "none", "is it none?", "none is none" => "true", "{}.a is none" => "`{}` has no `a` (it is empty)", checks::none;
    Test "number": "number", "is it a number?", "1.5 is number" => "true", "{}.a is number" => "`{}` has no `a` (it is empty)", checks::number;
    Test "odd": "odd", "is it not divisible by two?", "2 is odd" => "false", "1.5 is odd" => "the test `odd` needs a whole number, this is 1.5", checks::odd;
    Test "sequence": "sequence", "is it a list?", "[] is sequence" => "true", "{}.a is sequence" => "`{}` has no `a` (it is empty)", checks::sequence;
    Test "startingwith": "startingwith(part)", "does the text begin so?", "'v3' is startingwith('v')" => "true", "'v3' is startingwith(3)" => "`part` of the test `startingwith` must be a string, this is a number", checks::startingwith;
    Test "string": "string", "is it a text?", "'a' is string" => "true", "{}.a is string" => "`{}` has no `a` (it is empty)", checks::string;
    Test "true": "true", "is it the boolean true?", "true is true" => "true", "nope is true" => "there is no `nope` here", checks::r#true;
    Test "undefined": "undefined", "does it have no value?", "{}.a is undefined" => "true", "nope is undefined" => "there is no `nope` here", checks::undefined;
    Test "upper": "upper", "is the text in large letters?", "'AB' is upper" => "true", "none is upper" => "the test `upper` needs a string, this is none (give it a value: `none|default(…, true)`)", checks::upper;
    Test "version": "version(spec)", "is the version within all of these bounds (`>=`, `>`, `<=`, `<`, `==`, `!=`)? Its order alone counts: 1.3-rc1 is newer than 1.2", "'v1.10.2' is version('>=1.9,<2')" => "true", "'1.10' is version('1.9')" => "`1.9` does not say how to compare (write >=1.2 or ==1.2)", versions::version;
};
