using Postwright.Testing;
using Postwright.Testing.Processes;

namespace Postwright.System.Tests.Tools;

public sealed class PostcatTests : IDisposable
{
    private readonly LocalQueue _queue = new();

    public static TheoryData<string> Options => ["", "-v", "-o", "-d", "-b", "-h", "-e", "-eh", "-bh", "-ovd", "-r"];

    public void Dispose() => _queue.Dispose();

    [Theory]
    [MemberData(nameof(Options))]
    public async Task A_maildrop_file_is_shown_as_Postfix_shows_it(string options)
    {
        Assert.SkipUnless(LocalQueue.HasOracle, "needs root and Debian's Postfix");
        await _queue.RunAsync("sendmail", "Subject: test\nX-Long: " + new string('x', 3000) + "\n\nbody\n\n more\n", "-f", "a b@c.d", "x@y.z", "\"odd one\"@z");
        string[] arguments = [.. options.Split(' ', StringSplitOptions.RemoveEmptyEntries), Assert.Single(_queue.Files)];
        using var oracle = new LocalQueue(oracle: true);
        CommandRun theirs = await CommandRun.RunAsync("/usr/sbin/postcat", ["-c", oracle.ConfigDirectory, .. arguments]);
        CommandRun ours = await CommandRun.RunAsync(TestPrograms.PathOf("postcat"), ["-c", _queue.ConfigDirectory, .. arguments]);
        Assert.Equal((theirs.ExitStatus, theirs.Output), (ours.ExitStatus, ours.Output));
        Assert.NotEmpty(ours.Output);
    }

    [Fact]
    public async Task What_is_not_there_is_fatal()
    {
        CommandRun run = await _queue.RunAsync("postcat", "", "-q", "ABCDEF");
        Assert.Equal((1, "postcat: fatal: open queue file ABCDEF: No such file or directory\n"), (run.ExitStatus, run.Error));
        run = await _queue.RunAsync("postcat", "", "-q", "../x");
        Assert.Equal((1, "postcat: fatal: bad mail queue ID: ../x\n"), (run.ExitStatus, run.Error));
        run = await _queue.RunAsync("postcat", "", "/nonexistent");
        Assert.Equal((1, "postcat: fatal: open /nonexistent: No such file or directory\n"), (run.ExitStatus, run.Error));
        run = await _queue.RunAsync("postcat", "this is none");
        Assert.Equal((0, "postcat: warning: stdin: input is not a valid queue file\n"), (run.ExitStatus, run.Error));
    }

    [Fact]
    public async Task A_queued_maildrop_message_is_found_by_its_id()
    {
        await _queue.RunAsync("sendmail", "hello\n", "root");
        string id = Path.GetFileName(Assert.Single(_queue.Files));
        CommandRun run = await _queue.RunAsync("postcat", "", "-qf", id);
        Assert.StartsWith($"maildrop/{id}: *** ENVELOPE RECORDS maildrop/{id} ***\n", run.Output, StringComparison.Ordinal);
        Assert.EndsWith($"maildrop/{id}: *** MESSAGE FILE END maildrop/{id} ***\n", run.Output, StringComparison.Ordinal);
    }
}
