using AddressText = Postwright.Protocol.Mail.AddressText;
using System.Globalization;
using Postwright.Core.Tables;
using Postwright.Testing;

namespace Postwright.Core.Tests.Tables;

public sealed class AddressVectorTests
{
    [Fact]
    public async Task Key_orders_are_those_of_the_mail_addr_find_vectors()
    {
        string folder = Vectors("global");
        using var bench = new TableBench();
        string map = "";
        var compared = 0;
        string[] reference = [.. File.ReadLines(Path.Combine(folder, "mail_addr_find.ref")).Where(line => !line.StartsWith("====", StringComparison.Ordinal) && !line.StartsWith("inline:", StringComparison.Ordinal))];
        int at = 0;
        foreach (string line in File.ReadLines(Path.Combine(folder, "mail_addr_find.in")))
        {
            if (line.StartsWith("maps ", StringComparison.Ordinal))
            {
                map = line[5..];
            }

            if (!line.StartsWith("test ", StringComparison.Ordinal))
            {
                continue;
            }

            string expected = reference[at++];
            string[] fields = line[5..].Split(':');
            // Keys in internal form only are not used by any program of ours.
            if (fields[1] == "internal")
            {
                continue;
            }

            string address = fields[0] == "external" ? AddressText.ToInternal(fields[4]) : fields[4];
            var finder = new MailAddressFinder(MapList.Open(bench.Registry, map), new AddressFinderOptions
            {
                RecipientDelimiter = "+",
                IsLocalDomain = (domain, _) => new(domain == "localhost.localdomain" ? MatchResult.Match : MatchResult.NoMatch),
            });
            AddressMatch match = await finder.FindAsync(address, Strategy(fields[3]), TestContext.Current.CancellationToken);
            string value = match.Result.Value ?? "(not found)";
            value = fields[2] == "internal" && match.Result.IsFound ? AddressText.ToInternal(value) : value;
            Assert.Equal(expected, $"{fields[0]}:{fields[4]} -{fields[1]}-> {fields[2]}:{value} ({match.Extension ?? "null extension"})");
            compared++;
        }

        Assert.Equal(reference.Length, at);
        Assert.True(compared > 30, compared.ToString(CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Address_lists_answer_as_the_namadr_list_vectors()
    {
        string folder = Vectors("global");
        using var bench = new TableBench();
        var actual = new List<string>();
        string[] lines = File.ReadAllLines(Path.Combine(folder, "namadr_list.in"));
        for (int i = 0; i < lines.Length; i++)
        {
            string line = lines[i];
            if (line.StartsWith("echo ", StringComparison.Ordinal))
            {
                while (!line.EndsWith("/tmp", StringComparison.Ordinal))
                {
                    line += "\n" + lines[++i];
                }

                string text = line[5..line.IndexOf(">junk", StringComparison.Ordinal)].TrimEnd();
                bench.Write("junk", text.Replace("'", "", StringComparison.Ordinal) + "\n");
                continue;
            }

            int call = line.IndexOf("./namadr_list ", StringComparison.Ordinal);
            if (call < 0)
            {
                continue;
            }

            string rest = line[(call + 14)..];
            string[] words = rest.StartsWith('\'') ? [rest[1..rest.IndexOf('\'', 1)], .. rest[(rest.IndexOf('\'', 1) + 2)..].Split(' ')] : rest.Split(' ');
            bool environment = line.StartsWith("foo=x", StringComparison.Ordinal);
            string pattern = words[0].Replace("/tmp/", bench.Directory + "/", StringComparison.Ordinal);
            if (environment)
            {
                // The variable is the test's own: the process's environment is shared with other tests.
                pattern = pattern.Replace("environ:junk", "inline:{foo=x}", StringComparison.Ordinal);
            }

            bench.ClearLog();
            using var registry = new TableRegistry(bench.Log, bench.Time);
            AddressList list = AddressList.Open(registry, "command line", pattern, parentMatchesSubdomains: true);
            MatchResult result = await list.MatchAsync(words[1], words[2], TestContext.Current.CancellationToken);
            actual.AddRange(bench.LogLines.Select(text => "./namadr_list: " + text.Replace(bench.Directory, "/tmp", StringComparison.Ordinal)));
            actual.Add($"{words[1]}/{words[2]}: {result switch { MatchResult.Match => "YES", MatchResult.NoMatch => "NO", _ => "ERROR" }}");
        }

        Assert.Equal(File.ReadAllLines(Path.Combine(folder, "namadr_list.ref")), actual);
    }

    internal static string Vectors(string part)
    {
        string? data = TestPrograms.TestData;
        Assert.SkipUnless(data is not null, "no test data");
        return Path.Combine(data, "postfix-vectors", part);
    }

    private static AddressKeys Strategy(string text)
    {
        AddressKeys keys = AddressKeys.None;
        foreach (string word in text.Split('|'))
        {
            keys |= word switch
            {
                "default" => AddressKeys.Rewriting,
                "full" => AddressKeys.Full,
                "noext" => AddressKeys.WithoutExtension,
                "domain" => AddressKeys.Domain,
                "pdms" => AddressKeys.ParentDomains,
                "pddms" => AddressKeys.DotParentDomains,
                "localpart_at" => AddressKeys.LocalPartAt,
                "localpart_at_if_local" => AddressKeys.LocalPartAtIfLocal,
                _ => throw new InvalidOperationException(word),
            };
        }

        return keys;
    }
}
