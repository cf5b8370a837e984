using Postwright.Core.Posix;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Tests.Deliver.Agent;

public sealed class IdentityTests
{
    [ThreadStatic]
    private static bool _isMarked;

    [Fact]
    public async Task A_thread_with_another_identity_has_its_rights_and_no_others()
    {
        Assert.SkipUnless(Identity.CanChange, "needs root");
        using var workers = new DeliveryWorkers("identity", 2);
        (bool assumed, int shadow, bool restored, int after) = await workers.RunAsync(
            () =>
            {
                bool taken = Identity.Assume(1501, 1501) && Identity.Is(1501, 1501);
                int denied = Open("/etc/shadow");
                bool back = Identity.Restore() && Identity.Is(0, 0);
                return (taken, denied, back, Open("/etc/shadow"));
            },
            TestContext.Current.CancellationToken);
        Assert.True(assumed);
        Assert.Equal(-Errno.AccessDenied, shadow);
        Assert.True(restored);
        Assert.Equal(0, after);

        static int Open(string path) => DeliveryFile.Open(path, OpenFlags.ReadOnly) is >= 0 and int descriptor ? DeliveryFile.Close(descriptor) : DeliveryFile.Open(path, OpenFlags.ReadOnly);
    }

    [Fact]
    public async Task Another_thread_keeps_its_own_identity_meanwhile()
    {
        Assert.SkipUnless(Identity.CanChange, "needs root");
        using var workers = new DeliveryWorkers("identity", 2);
        using var assumed = new ManualResetEventSlim();
        using var seen = new ManualResetEventSlim();
        ValueTask<bool> first = workers.RunAsync(
            () =>
            {
                bool taken = Identity.Assume(1501, 1501);
                assumed.Set();
                bool waited = seen.Wait(TimeSpan.FromSeconds(60));
                return taken && waited && Identity.Is(1501, 1501) && Identity.Restore();
            },
            TestContext.Current.CancellationToken);
        bool other = await workers.RunAsync(() => assumed.Wait(TimeSpan.FromSeconds(60)) && Identity.Assume(1502, 1502) && Identity.Restore() && Identity.Is(0, 0), TestContext.Current.CancellationToken);
        seen.Set();
        Assert.True(other);
        Assert.True(await first);
    }

    [Fact]
    public async Task A_thread_whose_identity_is_lost_does_no_more_work()
    {
        using var workers = new DeliveryWorkers("identity", 1);
        await workers.RunAsync(() => _isMarked = true, TestContext.Current.CancellationToken);
        Assert.True(await workers.RunAsync(() => _isMarked, TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<IdentityLostException>(async () => await workers.RunAsync<int>(() => throw new IdentityLostException(), TestContext.Current.CancellationToken));
        Assert.False(await workers.RunAsync(() => _isMarked, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Work_never_waits_behind_a_busy_thread_while_another_may_start()
    {
        using var workers = new DeliveryWorkers("busy", 50);
        using var all = new CountdownEvent(50);
        ValueTask<bool>[] work = [.. Enumerable.Range(0, 50).Select(_ => workers.RunAsync(
            () =>
            {
                all.Signal();
                return all.Wait(TimeSpan.FromSeconds(60));
            },
            TestContext.Current.CancellationToken))];
        foreach (ValueTask<bool> one in work)
        {
            Assert.True(await one);
        }
    }
}
