//! Expressions that say something other than was meant: refused, with the words that would do.

use super::expressions::{shown, table};

/// What is never true is not false either: somebody meant something else.
#[test]
fn what_cannot_be_in_a_list_is_not_looked_for() {
    table(&[
        ("3 in [1, 2.0, 3.0]", "true"),
        ("'x' in [1, 'y']", "false"),
        ("'x' in []", "false"),
        ("none in ['x']", "false"),
        ("'x' in [none]", "false"),
        ("'name' in info", "true"),
        ("none in info", "false"),
        (
            "text_count in [1, 2, 3]",
            "type-mismatch: a string is looked for in a list that holds none at «text_count in [1, 2, 3]» (convert with `|int`: `text_count|int`)",
        ),
        (
            "count not in ['1', '2']",
            "type-mismatch: a number is looked for in a list that holds none at «count not in ['1', '2']» (convert with `|string`: `count|string`)",
        ),
        (
            "200 in {'200': 'ok'}",
            "type-mismatch: the keys of a map are strings, this is a number at «200» (convert with `|string`: `200|string`)",
        ),
    ]);
}

#[test]
fn what_has_an_order_of_its_own_is_told_its_words() {
    table(&[
        (
            "'2024-05-01T12:00:00Z' < '2024-05-02T12:00:00Z'",
            "type-mismatch: `<` needs two numbers, this is a string at «'2024-05-01T12:00:00Z'» (compare moments with `'2024-05-01T12:00:00Z' is before(…)` or `is after(…)`)",
        ),
        (
            "version >= 'v3.9'",
            "type-mismatch: `>=` needs two numbers, this is a string at «version» (compare versions with `version is version(\">=…\")`)",
        ),
        (
            "'1.5' > 1",
            "type-mismatch: `>` needs two numbers, this is a string at «'1.5'» (convert with `|float`: `'1.5'|float`)",
        ),
        (
            "grace > '1m'",
            "type-mismatch: `>` needs two numbers, this is a string at «'1m'» (convert with `|duration`: `'1m'|duration`)",
        ),
        (
            "grace == '90s'",
            "type-mismatch: a duration is compared with a string at «grace == '90s'» (convert with `|duration`: `'90s'|duration`)",
        ),
    ]);
}

#[test]
fn moments_at_the_edges() {
    table(&[
        ("'2024-05-01T12:00:00.123Z'|epoch", "1714564800.123"),
        ("1714564800.123|to_datetime", "2024-05-01T12:00:00.123Z"),
        ("'2024-05-01T12:00:00.123456Z'|epoch|to_datetime", "2024-05-01T12:00:00.123456Z"),
        ("'1969-12-31T23:59:58.5Z'|epoch", "-1.5"),
        ("-1.5|to_datetime", "1969-12-31T23:59:58.5Z"),
        ("'2016-12-31T23:59:60Z'|to_datetime", "2016-12-31T23:59:59Z"),
        (
            "'2024-05-01T12:00:00Z' is before('9999-12-31T23:59:59Z')",
            "bad-value: `9999-12-31T23:59:59Z` lies outside of the moments that can be told at «'9999-12-31T23:59:59Z'» (the last one is 9999-12-30T22:00:00Z)",
        ),
        (
            "1e15|to_datetime",
            "bad-value: 1000000000000000 seconds since 1970 lie outside of the years that can be told at «1e15» (milliseconds are divided by 1000 first)",
        ),
    ]);
}

/// SemVer would put each of these before the version that it comes after.
#[test]
fn packages_and_commits_are_no_pre_releases() {
    for text in ["1.2.3-1ubuntu2", "1.2.3-0ubuntu1.1", "v1.2.3-4-g1a2b3c4", "2.4-12deb"] {
        let said = shown(&format!("'{text}' is version('>=1.2')"));
        assert!(said.contains("a package's revision or commits after a tag"), "{text}: {said}");
    }
    for text in ["1.2.3-4", "1.2.3-rc.1", "1.2.3-0.3.7", "1.2.3-x.7.z.92", "v1.0.1-20191109021931-daa7c04131f5"] {
        assert_eq!(shown(&format!("'{text}' is version('>=1.0')")), "true", "{text}");
    }
}

/// A comma or an operator is missing, and the expression would go on with something that nobody wrote.
#[test]
fn what_was_written_twice_is_told() {
    table(&[
        (
            "'x' in ['a' 'b']",
            "bad-expression: a text follows a text at «'b'» (write `~` between parts of one text, or a comma between items)",
        ),
        (
            "'it''s'",
            "bad-expression: a text follows a text at «'s'» (a quote inside a text has a backslash before it, or the text is in quotes of the other kind)",
        ),
        ("{'a': 1, 'a': 2}", "bad-expression: this key is given twice at «'a'» (remove one of the two)"),
        ("{1: 'a', '1': 'b'}", "bad-expression: this key is given twice at «'1'» (remove one of the two)"),
        (
            "'%d hosts' % count",
            "type-mismatch: `%` does not work on a string and a number at «'%d hosts' % count» (fill a format with `'%d hosts'|format(…)`)",
        ),
    ]);
}

#[test]
fn paths_and_addresses() {
    table(&[
        ("'/a/b/'|basename", "b"),
        ("'b'|basename", "b"),
        ("'https://ci.example/job/42/'|basename|int", "42"),
        ("'/a/b/'|dirname", "/a"),
        ("'/a'|dirname", "/"),
        ("'/'|dirname", "/"),
        ("'b'|dirname", "."),
        ("'a//b'|dirname", "a"),
        ("'100%25+%C3%A9'|urldecode", "100%+é"),
        (
            "'%zz'|urldecode",
            "bad-value: `%zz` holds a `%` without two hex digits behind it at «'%zz'» (a percent sign itself is written `%25` there)",
        ),
        ("'%ff'|urldecode", "bad-value: the decoded bytes are not UTF-8 text at «'%ff'»"),
        ("'a+b (c)' is matches('^' ~ 'a+b (c)'|regex_escape ~ '$')", "true"),
    ]);
}
