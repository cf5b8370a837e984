using Postwright.Core.Tables;

namespace Postwright.Core.Tests.Tables;

public sealed class ListTests
{
    [Theory]
    [InlineData("example.com", "example.com", true, MatchResult.Match)]
    [InlineData("example.com", "EXAMPLE.com", false, MatchResult.Match)]
    [InlineData("example.com", "a.example.com", true, MatchResult.Match)]
    [InlineData("example.com", "a.example.com", false, MatchResult.NoMatch)]
    [InlineData("example.com", "badexample.com", true, MatchResult.NoMatch)]
    [InlineData(".example.com", "a.b.example.com", false, MatchResult.Match)]
    [InlineData(".example.com", "example.com", false, MatchResult.NoMatch)]
    [InlineData(".example.com", "a.example.com", true, MatchResult.NoMatch)]
    [InlineData("!a.example.com, example.com", "a.example.com", true, MatchResult.NoMatch)]
    [InlineData("!a.example.com, example.com", "b.example.com", true, MatchResult.Match)]
    [InlineData("!!example.com", "example.com", true, MatchResult.Match)]
    [InlineData("inline:{example.com=x}", "a.example.com", true, MatchResult.Match)]
    [InlineData("inline:{example.com=x}", "a.example.com", false, MatchResult.NoMatch)]
    [InlineData("inline:{.example.com=x}", "a.example.com", false, MatchResult.Match)]
    [InlineData("regexp:{{/^example\\.com$/ x}}", "a.example.com", true, MatchResult.NoMatch)]
    [InlineData("fail:x", "example.com", true, MatchResult.TemporaryError)]
    [InlineData("example.com fail:x", "example.com", true, MatchResult.Match)]
    [InlineData("fail:x example.com", "example.com", true, MatchResult.TemporaryError)]
    [InlineData("lmdb:x", "example.com", true, MatchResult.TemporaryError)]
    [InlineData("!fail:x", "example.com", true, MatchResult.TemporaryError)]
    [InlineData("", "example.com", true, MatchResult.NoMatch)]
    [InlineData("[1.2.3.4]", "[1.2.3.4]", true, MatchResult.Match)]
    public async Task Domains_match_as_parent_domain_matches_subdomains_says(string patterns, string domain, bool parents, MatchResult expected)
    {
        using var bench = new TableBench();
        DomainList list = DomainList.Open(bench.Registry, "mydestination", patterns, parents);
        Assert.Equal(expected, await list.MatchAsync(domain, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Files_in_lists_may_name_files_but_not_without_end()
    {
        using var bench = new TableBench();
        string inner = bench.Write("inner", "# a comment\nc.example\n!d.example\n");
        string outer = bench.Write("outer", $"b.example\n!{inner}\nd.example\n");
        DomainList list = DomainList.Open(bench.Registry, "mydestination", $"a.example {outer}");
        foreach ((string domain, MatchResult expected) in new[]
        {
            ("a.example", MatchResult.Match), ("b.example", MatchResult.Match), ("c.example", MatchResult.NoMatch), ("d.example", MatchResult.Match),
        })
        {
            Assert.Equal(expected, await list.MatchAsync(domain, TestContext.Current.CancellationToken));
        }

        string loop = bench["loop"];
        bench.Write("loop", loop + "\n");
        DomainList endless = DomainList.Open(bench.Registry, "mydestination", loop);
        Assert.Equal(MatchResult.TemporaryError, await endless.MatchAsync("x", TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("joe, !root", "joe", true, MatchResult.Match)]
    [InlineData("joe, !root, static:all", "root", true, MatchResult.NoMatch)]
    [InlineData("joe, !root, static:all", "jim", true, MatchResult.Match)]
    [InlineData("Joe", "joe", true, MatchResult.Match)]
    [InlineData("Joe", "joe", false, MatchResult.NoMatch)]
    public async Task Strings_match_whole(string patterns, string text, bool fold, MatchResult expected)
    {
        using var bench = new TableBench();
        StringList list = StringList.Open(bench.Registry, "authorized_submit_users", patterns, fold);
        Assert.Equal(expected, await list.MatchAsync(text, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_table_is_opened_once_and_closed_with_its_registry()
    {
        using var bench = new TableBench();
        ILookupTable table = bench.Registry.Open("inline:{a=b}");
        Assert.Same(table, bench.Registry.Open("inline:{a=b}"));
        bench.Registry.Dispose();
        Assert.Throws<ObjectDisposedException>(() => bench.Registry.Open("inline:{a=b}"));
        Assert.Equal("b", (await table.LookupAsync("a", CancellationToken.None)).Value);
    }

    [Theory]
    [InlineData("inline:{a=1} inline:{a=2,b=3}", "a", "=1")]
    [InlineData("inline:{a=1} inline:{a=2,b=3}", "b", "=3")]
    [InlineData("inline:{a=1} fail:x", "a", "=1")]
    [InlineData("fail:x inline:{a=1}", "a", "!")]
    [InlineData("inline:{a=1} fail:x", "b", "!")]
    [InlineData("inline:{{a=}}", "a", "!")]
    [InlineData("", "a", "-")]
    [InlineData("static:x", "", "-")]
    public async Task Lists_of_tables_are_asked_in_order_and_stop_at_an_error(string tables, string key, string expected)
    {
        using var bench = new TableBench();
        LookupResult result = await MapList.Open(bench.Registry, tables, "virtual_alias_maps").LookupAsync(key, TestContext.Current.CancellationToken);
        Assert.Equal(expected, result.Status switch { LookupStatus.Found => "=" + result.Value, LookupStatus.NotFound => "-", _ => "!" });
    }

    [Fact]
    public async Task A_list_of_tables_says_which_table_failed_and_which_answer_was_empty()
    {
        using var bench = new TableBench();
        await MapList.Open(bench.Registry, "fail:x", "virtual_alias_maps").LookupAsync("joe@a", TestContext.Current.CancellationToken);
        await MapList.Open(bench.Registry, "inline:{{a=}}", "virtual_alias_maps").LookupAsync("a", TestContext.Current.CancellationToken);
        Assert.Equal(
            [
                "warning: fail:x lookup error for \"joe@a\"",
                "warning: virtual_alias_maps lookup of a returns an empty string result",
                "warning: virtual_alias_maps should return NO RESULT in case of NOT FOUND",
            ],
            bench.LogLines);
    }

    [Theory]
    [InlineData("a.b.example", true, false, "a.b.example b.example example")]
    [InlineData("a.b.example", false, false, "a.b.example .b.example .example")]
    [InlineData("a.b.example", true, true, "a.b.example b.example .b.example example .example")]
    [InlineData("a.b.example", false, true, "a.b.example .b.example .example")]
    [InlineData("localhost", true, true, "localhost")]
    [InlineData("1.2.3.4", true, true, "1.2.3.4")]
    [InlineData("a.b.", true, false, "a.b. b.")]
    [InlineData("", true, false, "")]
    public void Host_names_are_looked_up_with_their_parents(string name, bool parents, bool leadingDot, string expected)
    {
        var options = new AccessKeyOptions { ParentMatchesSubdomains = parents, LeadingDot = leadingDot };
        AccessKey[] keys = [.. AccessKeys.ForHostName(name, options)];
        Assert.Equal(expected, string.Join(' ', keys.Select(key => key.Text)));
        Assert.All(keys, (key, i) => Assert.Equal(i > 0, key.Partial));
    }

    [Theory]
    [InlineData("192.168.2.7", false, "192.168.2.7 192.168.2 192.168 192")]
    [InlineData("192.168.2.7", true, "192.168.2.7 192.168.2 192.168.2. 192.168 192.168. 192 192.")]
    [InlineData("2001:db8::1", true, "2001:db8::1 2001:db8: 2001:db8 2001")]
    public void Addresses_are_looked_up_with_their_networks(string address, bool trailingDot, string expected) =>
        Assert.Equal(expected, string.Join(' ', AccessKeys.ForAddress(address, new AccessKeyOptions { TrailingDot = trailingDot }).Select(key => key.Text)));

    [Fact]
    public async Task Mail_addresses_are_looked_up_in_the_order_of_access_5()
    {
        using var bench = new TableBench();
        string[] keys = ["joe+x@a.example", "joe@a.example", "a.example", "example", "joe+x@", "joe@"];
        for (int first = 0; first < keys.Length; first++)
        {
            // Of the keys that are there the first one in order is found.
            string table = $"inline:{{{string.Join(", ", keys[first..].Select(key => $"{key}={key.Length}"))}}}";
            var finder = new MailAddressFinder(MapList.Open(bench.Registry, table), new AddressFinderOptions { RecipientDelimiter = "+" });
            AddressMatch match = await finder.FindAsync("joe+x@a.example", new AccessKeyOptions().MailAddressKeys, TestContext.Current.CancellationToken);
            Assert.Equal(keys[first], match.Key);
        }
    }

    [Theory]
    [InlineData("joe+x", "+", "joe", "+x")]
    [InlineData("joe-x+y", "+-", "joe", "-x+y")]
    [InlineData("+x", "+", null, null)]
    [InlineData("postmaster", "o", null, null)]
    [InlineData("double-bounce", "-", null, null)]
    [InlineData("owner-list", "-", null, null)]
    [InlineData("list-request", "-", null, null)]
    [InlineData("joe", "", null, null)]
    public void Extensions_begin_at_the_first_delimiter_but_not_in_special_names(string local, string delimiters, string? user, string? extension)
    {
        (string User, string Extension)? split = MailAddressFinder.SplitExtension(local, new AddressFinderOptions { RecipientDelimiter = delimiters });
        Assert.Equal(user, split?.User);
        Assert.Equal(extension, split?.Extension);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("caf\u00e9 \U0001F600")]
    public void Text_survives_the_way_through_bytes(string text) => Assert.Equal(text, TableText.Decode(TableText.Encode(text)));

    [Fact]
    public void Any_bytes_survive_the_way_through_text()
    {
        var random = new Random(7);
        for (int i = 0; i < 2000; i++)
        {
            byte[] bytes = new byte[random.Next(40)];
            random.NextBytes(bytes);
            Assert.Equal(bytes, TableText.Encode(TableText.Decode(bytes)));
        }
    }
}
