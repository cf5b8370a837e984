using System.Collections.Concurrent;
using Postwright.Testing;

namespace Postwright.Core.Tests.Configuration;

/// <summary>
/// The same command lines against Postfix's own postconf. Differences due to version stand in <c>tests/oracle-differences</c>
/// (<c>area, key, reason</c>, separated by tabs; here area is <c>postconf</c> and key a parameter's name); an entry that is not
/// needed fails.
/// </summary>
public sealed class PostconfOracleTests
{
    private const string Main = """
        # a comment
        compatibility_level = 3.6
        myhostname = mail.example.org
        mydestination = $myhostname,
            localhost.$mydomain
        # between
            localhost
        name = value
        other = $name ${name?x} ${undefined1:y}
        relayhost = $other
        unused = 1
        message_size_limit = 10
        message_size_limit = 20
        fallback_transport = ${{$name} == {value} ? {a b} : {c}}
        smtp_destination_rate_delay = 1s
        slow_destination_rate_delay = 2s
        smtpd_restriction_classes = one, two
        one = permit
        forward_path = $home/.x
        smtpd_banner = ${myhostname} $$x
        """;

    private const string Master = """
        # services
        smtp      inet  n       -       y       -       -       smtpd
        a.very.long.service.name:2525 inet n - - 60? 100 smtpd -v -o stress=yes -D
        submission inet n       -       y       -       -       smtpd
          -o syslog_name=postfix/submission -o smtpd_tls_security_level=encrypt
        # inside
          -o { smtpd_client_restrictions = permit_mynetworks, reject }
          -o mynetworks=$local_nets
          -o local_nets=127.0.0.0/8 -o unused_here=1
        slow      unix  -       -       n       -       1       smtp -o smtp_helo_name=$myhostname
        smtp      unix  -       -       y       -       -       smtp
        filter    unix  -       n       n       -       10      pipe
          flags=Rq user=filter null_sender= argv=/bin/filter -f ${sender} -- ${recipient} {a b} { c  d }
        policy    unix  -       n       n       -       0       spawn user=nobody argv=/bin/policy
        """;

    private static readonly string[] Shows =
    [
        "-n", "-nf", "-nx", "-nh", "-nH", "-n -C builtin", "-n -C user", "-C user", "-C service", "-C service -f",
        "myhostname mydomain mydestination myorigin", "-h myhostname", "-x relayhost fallback_transport smtpd_banner forward_path",
        "nosuch myhostname alsonot", "-d myorigin mynetworks_style", "-dx myorigin smtpd_banner", "-o name=other -x relayhost",
        "-x -o stress=yes smtpd_timeout smtpd_hard_error_limit", "-o nonsense", "-d virtual_maps virtual_alias_maps", "virtual_maps",
        "-M", "-Mf", "-Mx", "-Mfx", "-M smtp", "-M smtp/inet", "-M */unix", "-M nosuch", "-M smtp/fifo slow/unix",
        "-F", "-Ff", "-Fh smtp", "-FH slow", "-F smtp/inet/chroot", "-F */*/command", "-F nosuch/unix",
        "-P", "-Pf", "-Px", "-Ph submission", "-PH submission", "-P submission/inet/mynetworks", "-P */*/syslog_name",
        "mynetworks", "-x -o mynetworks_style=host mynetworks", "-x -o mynetworks_style=class mynetworks", "-o inet_protocols=ipv4 mynetworks",
        "-o inet_interfaces=loopback-only mynetworks", "-o inet_interfaces=localhost mynetworks", "-o inet_interfaces=127.0.0.1 mynetworks",
        "-o mydomain=example.net mydomain", "-l", "-hH", "-dn", "-MP", "-C bogus",
    ];

    private static readonly string[] Edits =
    [
        "-e|name=new value|added = 1", "name=x", "-e|message_size_limit=5", "-#|name|mydestination|nosuch", "-X|mydestination|message_size_limit",
        "-e|name", "-e|=x", "-e|a b=c", "-X|name=1", "-e", "-X", "-#", "-n|-e|a=b", "-e|mydestination=a,b",
        "-Me|smtp/inet=smtp inet n - n - 7 smtpd -o a=b", "-M|new/unix=new unix - - n - - discard", "-M#|smtp/inet|filter/unix", "-MX|submission/inet",
        "-Me|smtp=x", "-Me|smtp/inet=smtp inet n", "-MX|*/unix", "-F|smtp/inet/chroot=n|*/unix/chroot=-", "-F|slow/unix/command=smtp -v -o x=y",
        "-F|nosuch/unix/chroot=n", "-F|smtp/inet/nosuch=1", "-F|smtp/inet/chroot=q", "-F|smtp/inet=1", "-FX|smtp/inet/chroot",
        "-P|smtp/inet/x=1|submission/inet/syslog_name=other", "-P|smtp/*/new=1", "-PX|submission/inet/syslog_name", "-PX|submission/inet/nosuch",
        "-P|filter/unix/export_environment=PATH", "-P|smtp/inet/x=a b", "-P|nosuch/inet/x=1",
    ];

    [Fact]
    public async Task A_command_line_prints_what_Postfix_prints()
        => Assert.Equal("", string.Join('\n', await CompareAll(Shows, ' ')));

    [Fact]
    public async Task An_edit_leaves_the_file_that_Postfix_leaves()
        => Assert.Equal("", string.Join('\n', await CompareAll(Edits, '|')));

    [Fact]
    public void Every_parameter_and_default_is_Postfixs_but_for_the_listed_differences()
    {
        Assert.SkipUnless(PostconfHarness.HasOracle, "Postfix is not installed");
        string folder = Write();
        try
        {
            HashSet<string> listed = [.. Listed()];
            var needed = new HashSet<string>();
            Dictionary<string, string> ours = Settings(PostconfHarness.Ours("postconf", "-c", folder, "-d").Output);
            Dictionary<string, string> theirs = Settings(PostconfHarness.Theirs(folder, "-c", folder, "-d").Output);
            foreach (string name in ours.Keys.Union(theirs.Keys).Where(n => n != "process_id"))
            {
                if (ours.GetValueOrDefault(name) != theirs.GetValueOrDefault(name))
                {
                    needed.Add(name);
                }
            }

            Assert.Equal("", string.Join('\n', needed.Except(listed).Order(StringComparer.Ordinal)
                .Select(n => $"{n}: {theirs.GetValueOrDefault(n, "(none)")} | {ours.GetValueOrDefault(n, "(none)")}")));
            Assert.Equal("", string.Join('\n', listed.Except(needed).Order(StringComparer.Ordinal).Select(n => $"{n} needs no entry")));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Side by side, since Postfix sleeps a second before each fatal error.</summary>
    private static async Task<IReadOnlyList<string>> CompareAll(IEnumerable<string> lines, char separator)
    {
        Assert.SkipUnless(PostconfHarness.HasOracle, "Postfix is not installed");
        var differences = new ConcurrentQueue<string>();
        await Parallel.ForEachAsync(lines, new ParallelOptions { MaxDegreeOfParallelism = 8 }, (line, _) =>
        {
            foreach (string difference in Compare(line.Split(separator)))
            {
                differences.Enqueue($"{line}: {difference}");
            }

            return ValueTask.CompletedTask;
        });
        return [.. differences];
    }

    private static IEnumerable<string> Compare(string[] arguments)
    {
        string ours = Write();
        string theirs = Write();
        try
        {
            PostconfHarness.Result actual = PostconfHarness.Ours(PostconfHarness.Oracle, ["-c", ours, .. arguments]);
            PostconfHarness.Result expected = PostconfHarness.Theirs(theirs, ["-c", theirs, .. arguments]);

            return [
                .. Differences("output", Lines(expected.Output, theirs), Lines(actual.Output, ours)),
                .. Differences("exit code", [$"{expected.ExitCode}"], [$"{actual.ExitCode}"]),
                .. Differences("errors", Warnings(expected.Errors, theirs), Warnings(actual.Errors, ours)),
                .. Differences("main.cf", File.ReadAllLines(Path.Combine(theirs, "main.cf")), File.ReadAllLines(Path.Combine(ours, "main.cf"))),
                .. Differences("master.cf", File.ReadAllLines(Path.Combine(theirs, "master.cf")), File.ReadAllLines(Path.Combine(ours, "master.cf"))),
            ];
        }
        finally
        {
            Directory.Delete(ours, recursive: true);
            Directory.Delete(theirs, recursive: true);
        }
    }

    private static IEnumerable<string> Differences(string what, IEnumerable<string> expected, IEnumerable<string> actual)
    {
        string[] wanted = [.. expected];
        string[] found = [.. actual];
        for (int i = 0; i < Math.Max(wanted.Length, found.Length); i++)
        {
            string want = i < wanted.Length ? wanted[i] : "(nothing)";
            string got = i < found.Length ? found[i] : "(nothing)";
            if (want != got)
            {
                yield return $"{what}, line {i + 1}: expected {want}, got {got}";
                yield break;
            }
        }
    }

    private static string Write()
    {
        string folder = PostconfHarness.TemporaryFolder();
        File.WriteAllText(Path.Combine(folder, "main.cf"), Main + "\n");
        File.WriteAllText(Path.Combine(folder, "master.cf"), Master + "\n");
        return folder;
    }

    private static string[] Lines(string output, string folder) => output.Replace(folder, "DIR", StringComparison.Ordinal).Split('\n');

    /// <summary>
    /// Postfix reads main.cf many times in one run and repeats its warnings, in the order of a hash table; what is said counts.
    /// The usage text names further options of this version.
    /// </summary>
    private static IEnumerable<string> Warnings(string errors, string folder)
        => errors.Replace(folder, "DIR", StringComparison.Ordinal).Split('\n')
            .Where(line => line.Length > 0 && !line.Contains("overriding earlier entry", StringComparison.Ordinal))
            .Select(line => line.Contains("fatal: usage:", StringComparison.Ordinal) ? "usage" : line)
            .Distinct().Order(StringComparer.Ordinal);

    private static Dictionary<string, string> Settings(string output)
        => output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(" =", 2))
            .ToDictionary(pair => pair[0], pair => pair[1].Trim(), StringComparer.Ordinal);

    private static IEnumerable<string> Listed()
        => File.ReadLines(Path.Combine(TestPrograms.ProjectRoot, "tests/oracle-differences"))
            .Select(line => line.Split('\t'))
            .Where(cells => cells is ["postconf", _, _])
            .Select(cells => cells[1]);
}
