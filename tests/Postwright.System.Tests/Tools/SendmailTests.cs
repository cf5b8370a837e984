using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Tools;

public sealed class SendmailTests : IDisposable
{
    private readonly LocalQueue _queue = new();

    public static TheoryData<string, string> SameFiles => new()
    {
        { "-t", "To: x\nnot header\nbody\n" },
        { "-t", "To: x\n  more@y\n\n body\n" },
        { "-t z", " lead\nTo: x\n\nbody" },
        { "-t", "From foo bar\n>>From joe\nTo : x (c)\nResent-To: r@s\nCc: q\nBcc: secret\nTo: a" },
        { "-t z", "Foo   :   x  \nTo \t: y   \n z  \n\nbody" },
        { "-t", "To: some.user@example.com\nX-Long: " + new string('x', 5000) + "\n\n" + new string('y', 5000) + "\n.\nafter\n" },
        { "root", "a\r\nb\nc\r\n" },
        { "root", "a\n..\n.\nb\n" },
        { "-i root", "a\n.\nb\n" },
        { "-oi -oem -G -f joe@x.org -F Joe bob,ann", "hello" },
        { "-N success,delay -V abc -B 8BITMIME -R hdrs -v root", "x\n" },
        { "-f <> root", "" },
        { "-m -U -h 5 -L label -A c -e x -c -p y root", "hi\n" },
    };

    public static TheoryData<string, string> SameFailures => new()
    {
        { "", "x\n" },
        { "-t", "Subject: x\n\nbody\n" },
        { "-Z", "" },
        { "-f", "" },
        { "-n root", "" },
        { "-bx root", "" },
        { "-t -bp", "" },
        { "-bp root", "" },
        { "-q root", "" },
        { "-qS root", "" },
        { "-B foo root", "" },
        { "-X foo root", "" },
        { "-oA root", "" },
        { "-qI", "" },
    };

    public void Dispose() => _queue.Dispose();

    [Theory]
    [MemberData(nameof(SameFiles))]
    public async Task The_maildrop_file_is_the_one_that_Postfix_makes(string arguments, string message)
    {
        Assert.SkipUnless(LocalQueue.HasOracle, "needs root and Debian's Postfix");
        using var oracle = new LocalQueue(oracle: true);
        CommandRun theirs = await oracle.RunAsync("sendmail", message, Words(arguments));
        CommandRun ours = await _queue.RunAsync("sendmail", message, Words(arguments));
        Assert.Equal((0, theirs.Output, theirs.Error), (ours.ExitStatus, ours.Output, ours.Error));
        Assert.Single(oracle.Files);
        Assert.Equal(oracle.Contents(), _queue.Contents());
    }

    [Theory]
    [MemberData(nameof(SameFailures))]
    public async Task A_failure_has_Postfix_words_and_exits_with_75(string arguments, string message)
    {
        CommandRun ours = await _queue.RunAsync("sendmail", message, Words(arguments));
        Assert.Equal(75, ours.ExitStatus);
        Assert.Empty(_queue.Files);
        Assert.SkipUnless(LocalQueue.HasOracle, "the comparison needs root and Debian's Postfix");
        using var oracle = new LocalQueue(oracle: true);
        CommandRun theirs = await oracle.RunAsync("sendmail", message, Words(arguments));
        Assert.Equal(theirs, ours);
    }

    [Fact]
    public async Task A_message_above_the_size_limit_leaves_no_file()
    {
        using var queue = new LocalQueue(settings: "message_size_limit = 3000");
        CommandRun run = await queue.RunAsync("sendmail", new string('x', 5000) + "\n", "root");
        Assert.Equal(75, run.ExitStatus);
        Assert.Contains("postdrop: warning: uid=", run.Error, StringComparison.Ordinal);
        Assert.Contains("message file too big", run.Error, StringComparison.Ordinal);
        Assert.Empty(queue.Files);
    }

    [Fact]
    public async Task A_user_that_authorized_submit_users_leaves_out_is_refused()
    {
        using var queue = new LocalQueue(settings: $"authorized_submit_users = !{Environment.UserName}, static:all");
        CommandRun run = await queue.RunAsync("sendmail", "x\n", "root");
        Assert.Equal(75, run.ExitStatus);
        Assert.Contains($"sendmail: fatal: User {Environment.UserName}(", run.Error, StringComparison.Ordinal);
        Assert.EndsWith(") is not allowed to submit mail\n", run.Error, StringComparison.Ordinal);
        Assert.Equal(1, (await queue.RunAsync("postdrop", "", "-r")).ExitStatus);
        Assert.Empty(queue.Files);
    }

    [Fact]
    public async Task Postdrop_keeps_nothing_of_a_message_that_ends_early_or_is_none()
    {
        (int Status, string Input)[] inputs =
        [
            (0, "S\u0004rootR\u0004rootM\0"),
            (1, "S\u0004rootZ\0"),
            (1, "S\u0004rootM\0N\u0002hiX\0E\0"),
            (1, "N\u0002hi"),
        ];
        foreach ((int status, string input) in inputs)
        {
            Assert.Equal(status, (await _queue.RunAsync("postdrop", input, "-r")).ExitStatus);
            Assert.Empty(_queue.Files);
        }
    }

    [Fact]
    public async Task A_session_on_standard_input_submits_what_it_is_given()
    {
        CommandRun run = await _queue.RunAsync(
            "sendmail", "EHLO me\nMAIL FROM:<\"a b\"@c> RET=HDRS ENVID=x\nRCPT TO:<d@e> NOTIFY=NEVER\nDATA\n indented\n..dot\n.\nFOO\nRCPT TO:<x>\nMAIL FROM:<z>\nRCPT TO:<x>\nDATA\nnever ended\n", "-bs");
        Assert.Equal(0, run.ExitStatus);
        string[] replies = run.Output.Split("\r\n");
        Assert.StartsWith("220 host.example.com ESMTP", replies[0], StringComparison.Ordinal);
        Assert.Contains("500 5.5.2 Error: command not recognized", replies);
        Assert.Contains("503 5.5.1 Error: need MAIL command", replies);
        Assert.Contains(replies, reply => reply.StartsWith("250 2.0.0 Ok: queued as ", StringComparison.Ordinal));
        string content = Assert.Single([_queue.Contents()]);
        Assert.Single(_queue.Files);
        Assert.Contains("S\u0005a b@c", content, StringComparison.Ordinal);
        Assert.Contains("A\u000enotify_flags=1R\u0003d@eM", content, StringComparison.Ordinal);
        Assert.Contains("N\0N\u0009 indentedN\u0004.dotX", content, StringComparison.Ordinal);
    }

    private static string[] Words(string arguments) => arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
