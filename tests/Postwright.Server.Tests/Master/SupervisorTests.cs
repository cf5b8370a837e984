using Postwright.Server.Master;
using Postwright.Testing.Logging;

namespace Postwright.Server.Tests.Master;

public sealed class SupervisorTests
{
    // A child that serves until its channel (descriptor 3) ends, as ours do.
    private const string Serves = "printf ready >&3; head -c 1 <&3 >/dev/null";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);
    private readonly LogLines _lines = new();

    [Fact]
    public void Children_are_started_said_ready_and_ended_by_their_channel()
    {
        using Supervisor supervisor = New(Serves, new SupervisorOptions { StopTime = Limit });
        int ready = 0;
        int status = Run(supervisor, () =>
        {
            ready++;
            supervisor.Stop();
        });
        Assert.Equal(0, status);
        Assert.Equal(1, ready);
        Assert.Empty(_lines.All);
    }

    [Fact]
    public void A_killed_child_is_started_again_and_the_log_says_so_in_Postfix_s_words()
    {
        using Supervisor supervisor = New(Serves, new SupervisorOptions { FirstThrottle = TimeSpan.FromMilliseconds(1), GoodRun = Limit, StopTime = Limit });
        int first = 0;
        Thread? watcher = null;
        int status = Run(supervisor, () =>
        {
            first = supervisor.ProcessOf("mail");
            MasterCalls.Kill(first, MasterCalls.SignalKill);
            watcher = new Thread(() =>
            {
                SpinWait.SpinUntil(() => Ask(supervisor) is var now && now != 0 && now != first, Limit);
                supervisor.Stop();
            });
            watcher.Start();
        });
        Assert.True(watcher!.Join(Limit));
        Assert.Equal(0, status);
        Assert.Contains($"postfix/master: warning: process /usr/lib/postfix/sbin/mail pid {first} killed by signal 9", _lines.All);
        Assert.Contains("postfix/master: warning: /usr/lib/postfix/sbin/mail: bad command startup -- throttling", _lines.All);
    }

    [Fact]
    public void A_child_that_fails_before_it_ever_served_ends_the_start()
    {
        using Supervisor supervisor = New("exit 3", new SupervisorOptions());
        Assert.Equal(1, Run(supervisor, () => { }));
        Assert.Contains(_lines.All, line => line.Contains("exit status 3", StringComparison.Ordinal));
        Assert.Contains("postfix/master: fatal: mail: initialization failure", _lines.All);
    }

    [Fact]
    public void A_child_that_does_not_end_is_killed()
    {
        using Supervisor supervisor = New("printf ready >&3; exec sleep 1000", new SupervisorOptions { StopTime = TimeSpan.FromMilliseconds(100) });
        Assert.Equal(0, Run(supervisor, supervisor.Stop));
    }

    [Fact]
    public void A_child_gets_its_descriptors_by_name_and_no_others()
    {
        string folder = Directory.CreateTempSubdirectory("postwright-spawn-").FullName;
        try
        {
            string output = Path.Combine(folder, "out");
            using FileStream file = File.Create(Path.Combine(folder, "passed"));
            using Supervisor supervisor = new(
                [new SupervisedProgram("mail", "/mail", () => new SpawnRequest("/bin/sh", ["sh", "-c", $"(echo $LISTEN_FDS $LISTEN_FDNAMES; ls /proc/$$/fd | sort -n | tr '\\n' ' '; echo; echo through >&4) >{output}; {Serves}"])
                {
                    Descriptors = [new PassedDescriptor("extra", (int)file.SafeFileHandle.DangerousGetHandle())],
                })],
                new SupervisorOptions { StopTime = Limit },
                _lines.For("master"),
                TimeProvider.System);
            Assert.Equal(0, Run(supervisor, supervisor.Stop));
            string[] lines = File.ReadAllLines(output);
            Assert.Equal("2 master:extra", lines[0]);

            // 10 is the shell's own: it keeps its output there while it redirects.
            Assert.Equal(["0", "1", "2", "3", "4"], lines[1].Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(d => d != "10"));
            file.Dispose();
            Assert.Equal("through\n", File.ReadAllText(Path.Combine(folder, "passed")));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static int Ask(Supervisor supervisor)
    {
        using ManualResetEventSlim answered = new();
        int process = 0;
        supervisor.Post(() =>
        {
            process = supervisor.ProcessOf("mail");
            answered.Set();
        });
        answered.Wait(Limit, TestContext.Current.CancellationToken);
        return process;
    }

    private static int Run(Supervisor supervisor, Action whenReady)
    {
        int? status = null;
        Thread loop = new(() => status = supervisor.Run(whenReady));
        loop.Start();
        Assert.True(loop.Join(Limit), "the supervisor did not end");
        return status!.Value;
    }

    private Supervisor New(string script, SupervisorOptions options) => new(
        [new SupervisedProgram("mail", "/usr/lib/postfix/sbin/mail", () => new SpawnRequest("/bin/sh", ["sh", "-c", script]))],
        options,
        _lines.For("master"),
        TimeProvider.System);
}
