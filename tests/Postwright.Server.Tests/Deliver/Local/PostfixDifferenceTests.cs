using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Postwright.Server.Deliver;
using Postwright.Testing;

namespace Postwright.Server.Tests.Deliver.Local;

/// <summary>The same messages to the same aliases and mailboxes, through the real Postfix and through us: files byte for byte, outcomes word for word.</summary>
public sealed class PostfixDifferenceTests : IDisposable
{
    private const string Message = "Subject: t\r\nMessage-Id: <x@y>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nFrom: a@b\r\n\r\nHello\r\nFrom here\r\n>From there\r\n\r\nlast\r\n";
    private readonly DeliveryRig _rig = new();

    public void Dispose() => _rig.Dispose();

    private static string Aliases(string root) => $"""
        file: {root}/out/file
        fdir: {root}/out/fdir/
        devnull: /dev/null
        exe: {root}/out/exe
        link: {root}/out/link
        nodir: {root}/out/none/file
        env: "|env | sort > {root}/out/env; cat > {root}/out/stdin"
        true: "|true"
        one: "|exit 1"
        twohundred: "|exit 200"
        says: "|echo two; echo lines; exit 3"
        signal: "|kill -15 $$"
        dsn5: "|echo 5.7.99 custom text; exit 1"
        dsn4: "|echo 4.7.99 custom text; exit 1"
        dsnbad: "|echo 5.7 custom text; exit 67"
        dsn2: "|echo 2.7.1 custom text; exit 67"
        missing: "|/nonexistent/program with arguments"
        notfound: "|nonexistent-program with arguments"
        slow: "|sleep 100"
        incmissing: ":include:/nonexistent/file"
        increl: ":include:relative"
        {string.Join("\n", Enumerable.Range(64, 15).Select(code => $"exit{code}: \"|echo said; exit {code}\""))}

        """;

    private static readonly string[] Direct =
    [
        "file", "fdir", "devnull", "exe", "link", "nodir", "env", "true", "one", "twohundred", "says", "signal", "dsn5", "dsn4", "dsnbad", "dsn2",
        "missing", "notfound", "incmissing", "increl", "unknown", .. Enumerable.Range(64, 15).Select(code => $"exit{code}"),
    ];

    private string Prepare(string name)
    {
        string root = _rig.Make(name, 0b111_101_101);
        _rig.Make(name + "/out", 0b111_111_111);
        _rig.Make(name + "/vmail", 0b111_111_111);
        _rig.Make(name + "/spool", 0b111_111_111);
        File.WriteAllText(root + "/out/exe", "");
        File.SetUnixFileMode(root + "/out/exe", (UnixFileMode)0b111_111_111);
        File.CreateSymbolicLink(root + "/out/link", "/dev/null");
        return root;
    }

    private static string Settings(string root) => $$"""
        myhostname = pf.test
        mydomain = test
        myorigin = pf.test
        mydestination = pf.test
        recipient_delimiter = +
        mail_spool_directory = {{root}}/spool
        virtual_mailbox_domains = v.test
        virtual_mailbox_base = {{root}}/vmail
        virtual_mailbox_maps = inline:{ {box@v.test = box}, {dir@v.test = dir/}, {dots@v.test = dots} }
        virtual_uid_maps = static:65534
        virtual_gid_maps = static:65534
        """;

    [Theory]
    [InlineData("")]
    [InlineData("\"a b+x\"@example.org")]
    public async Task Files_and_outcomes_are_postfixs(string sender)
    {
        SkipWithoutPostfix();
        string theirs = Prepare("theirs");
        string ours = Prepare("ours");
        string[] recipients = [.. Direct.Select(name => $"{name}@pf.test"), "box@v.test", "dir@v.test", "nobody+Ext@pf.test"];
        IReadOnlyDictionary<string, PostfixDelivery.Outcome> expected = await ByPostfixAsync(theirs, Settings(theirs), sender, recipients);

        // The message as it was in Postfix's queue is the Maildir file without the three lines in front.
        string stored = await File.ReadAllTextAsync(Assert.Single(Directory.GetFiles(theirs + "/vmail/dir/new")), TestContext.Current.CancellationToken);
        string content = string.Join("\r\n", stored.Split('\n').Skip(3));
        await SameByUsAsync(expected, theirs, ours, Settings(ours), sender, content);
        foreach (string file in new[] { "out/file", "vmail/box", "spool/nobody", "out/stdin" })
        {
            Assert.Equal(Timeless(theirs + "/" + file), Timeless(ours + "/" + file));
        }

        Assert.Equal(stored, await File.ReadAllTextAsync(Assert.Single(Directory.GetFiles(ours + "/vmail/dir/new")), TestContext.Current.CancellationToken));
        Assert.Equal(Variables(theirs), Variables(ours));
    }

    [Fact]
    public async Task A_command_over_its_time_has_postfixs_outcome()
    {
        SkipWithoutPostfix();
        string theirs = Prepare("theirs");
        string ours = Prepare("ours");
        const string Limit = "\ncommand_time_limit = 2s";
        IReadOnlyDictionary<string, PostfixDelivery.Outcome> expected = await ByPostfixAsync(theirs, Settings(theirs) + Limit, "a@b.test", ["slow@pf.test"]);
        Assert.StartsWith("Command time limit exceeded: ", expected["slow@pf.test"].Reason, StringComparison.Ordinal);
        await SameByUsAsync(expected, theirs, ours, Settings(ours) + Limit, "a@b.test", Message);
    }

    private static void SkipWithoutPostfix()
    {
        Assert.SkipUnless(PostfixDelivery.Obstacle is null, PostfixDelivery.Obstacle ?? "");
        Assert.SkipUnless(File.Exists(TestPrograms.PathOf("postwright")), "needs the built program, which becomes the command");
    }

    private static async Task<IReadOnlyDictionary<string, PostfixDelivery.Outcome>> ByPostfixAsync(string root, string settings, string sender, string[] recipients)
    {
        await using PostfixDelivery postfix = await PostfixDelivery.StartAsync(root, settings, Aliases(root));
        return await postfix.SendAsync(sender, recipients, Message, TestContext.Current.CancellationToken);
    }

    /// <summary>Delivers to the same recipients; each must come to the same end.</summary>
    private async Task SameByUsAsync(
        IReadOnlyDictionary<string, PostfixDelivery.Outcome> expected, string theirs, string ours, string settings, string sender, string content)
    {
        string aliases = string.Join(", ", Aliases(ours).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(": ", 2))
            .Select(pair => $"{{ {pair[0]} = {pair[1].Replace("$", "$$", StringComparison.Ordinal)} }}"));
        foreach ((string recipient, PostfixDelivery.Outcome outcome) in expected.OrderBy(static one => one.Key, StringComparer.Ordinal))
        {
            RecipientResult result = await _rig.Deliver(
                recipient, content, $"{settings}\nalias_maps = inline:{{ {aliases} }}", sender.Replace("\"", "", StringComparison.Ordinal),
                recipient.EndsWith("@v.test", StringComparison.Ordinal) ? "virtual" : "local");
            string status = result.Status.ToString().ToLower(CultureInfo.InvariantCulture);
            Assert.Equal(outcome, new PostfixDelivery.Outcome(result.Dsn, status, result.Reason.Replace(ours, theirs, StringComparison.Ordinal)));
        }
    }

    private static string Timeless(string path)
        => Regex.Replace(Encoding.Latin1.GetString(File.ReadAllBytes(path)), @"\A(From .*  )[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\n", "$1DATE\n");

    // Without what differs by design of this test: where it runs, what the tester's environment exports, the client, and ENVID,
    // which came with Postfix 3.9.
    private static string[] Variables(string root) =>
        [.. File.ReadAllLines(root + "/out/env").Where(line => !Regex.IsMatch(line, "^(PWD|OLDPWD|MAIL_CONFIG|LANG|TZ|_|ENVID|CLIENT_.*)="))];
}
