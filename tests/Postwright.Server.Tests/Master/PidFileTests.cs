using Postwright.Server.Master;

namespace Postwright.Server.Tests.Master;

public sealed class PidFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("postwright-pid-").FullName;

    private string FilePath => Path.Combine(_folder, "master.pid");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_number_stands_in_32_columns_and_can_be_read_while_it_is_held()
    {
        using PidFile? held = PidFile.TryAcquire(FilePath, out string? error);
        Assert.NotNull(held);
        Assert.Null(error);
        Assert.True(PidFile.IsHeld(FilePath));
        Assert.Equal(Environment.ProcessId, PidFile.Read(FilePath));
    }

    [Fact]
    public void A_second_one_is_refused_until_the_first_is_gone()
    {
        PidFile first = PidFile.TryAcquire(FilePath, out _)!;
        Assert.Null(PidFile.TryAcquire(FilePath, out string? error));
        Assert.Null(error);
        first.Dispose();

        // A process that another test is just starting has a copy of every descriptor until its exec, and so of the lock.
        Assert.True(SpinWait.SpinUntil(() => !PidFile.IsHeld(FilePath), TimeSpan.FromSeconds(60)));
        Assert.Equal($"{Environment.ProcessId,32}\n", File.ReadAllText(FilePath));
        PidFile? second = null;
        Assert.True(SpinWait.SpinUntil(() => (second = PidFile.TryAcquire(FilePath, out _)) is not null, TimeSpan.FromSeconds(60)));
        second!.Dispose();
    }

    [Fact]
    public void A_file_without_a_lock_is_nobody_s()
    {
        File.WriteAllText(FilePath, "1234\n");
        Assert.False(PidFile.IsHeld(FilePath));
    }

    [Fact]
    public void A_directory_that_is_missing_is_an_error()
    {
        Assert.Null(PidFile.TryAcquire(Path.Combine(_folder, "none", "master.pid"), out string? error));
        Assert.Contains("No such file or directory", error, StringComparison.Ordinal);
    }
}
